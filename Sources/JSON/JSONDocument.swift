import CSimdjson

/// Why a text is not acceptable JSON (RFC 8259), and where; or that there was not enough memory to parse it.
public struct JSONParseError: Error, Sendable {
  /// What is wrong, in words for the sender of the text.
  public var message: String
  /// Offset of the fault from the start of the text, in bytes; nil where it is not known.
  public var byteOffset: Int?
  /// Whether the text may be acceptable, and memory was lacking.
  public var isOutOfMemory = false

  public init(message: String, byteOffset: Int? = nil, isOutOfMemory: Bool = false) {
    self.message = message
    self.byteOffset = byteOffset
    self.isOutOfMemory = isOutOfMemory
  }

  /// The message with the place of the fault.
  ///
  /// - Parameter subject: what the sentence begins with where the text is at fault, for instance `the header is`.
  public func describing(_ subject: String? = nil) -> String {
    guard !isOutOfMemory else { return message }
    let place = byteOffset.map { " at byte \($0)" } ?? ""
    return "\(subject.map { "\($0) " } ?? "")not valid JSON: \(message)\(place)"
  }
}

/// One parsed JSON text. It never changes after `init`, so its values may be read from any thread.
///
/// Stricter than RFC 8259: an object with a repeated key, a number beyond the range of a double, invalid UTF-8, a lone
/// surrogate and nesting over `maxDepth` are errors. An integer literal may have any length; one that does not fit in
/// 64 bits is read as the nearest double.
// SAFETY: the only stored property points to a tape that no function of the shim writes to after csj_parse.
public final class JSONDocument: @unchecked Sendable {
  let tape: OpaquePointer

  /// Parses a whole text.
  ///
  /// `bytes` is not needed once this returns. An array with at least 64 bytes of spare capacity, the padding that the
  /// parser reads behind the text, is parsed in place; any other array is copied.
  /// - Parameters:
  ///   - maxDepth: how deep arrays and objects may be nested, from 1 to 1,024; other values are clamped.
  ///   - mayHaveByteOrderMark: whether a byte order mark at the start is ignored, which RFC 8259, section 8.1, allows a
  ///     parser to do and which some clients send.
  /// - Throws: `JSONParseError` for every text that is not acceptable.
  public init(
    _ bytes: [UInt8], maxDepth: Int = 32, mayHaveByteOrderMark: Bool = false
  ) throws(JSONParseError) {
    let skipped = mayHaveByteOrderMark && bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? 3 : 0
    var padded = bytes
    let (needed, overflow) = bytes.count.addingReportingOverflow(csj_padding())
    if overflow { throw JSONParseError(message: "the text is too long") }
    if padded.capacity < needed { padded.reserveCapacity(needed) }
    let depth = min(max(maxDepth, 1), 1024)
    var failure = csj_failure()
    // SAFETY: the capacity covers the padding. simdjson reads the padding, whatever it holds, and writes nothing. A
    // mutable pointer would be wrong here: asking for one copies a shared array, and the copy need not have that
    // capacity.
    let parsed = padded.withUnsafeBufferPointer { text in
      csj_parse(text.baseAddress.map { $0 + skipped }, text.count - skipped, depth, &failure)
    }
    guard let parsed else {
      let offset = failure.has_offset ? Int(exactly: failure.offset).map { $0 + skipped } : nil
      throw JSONParseError(
        message: Self.text(of: failure), byteOffset: offset, isOutOfMemory: failure.is_out_of_memory)
    }
    tape = parsed
  }

  deinit { csj_free(tape) }

  /// The value of the whole text.
  public var root: JSONValue { JSONValue(document: self, at: csj_root()) }

  private static func text(of failure: csj_failure) -> String {
    withUnsafeBytes(of: failure.message) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
  }
}
