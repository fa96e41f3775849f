import CSimdjson

/// Why a text is not acceptable JSON (RFC 8259), and where.
public struct JSONParseError: Error, Sendable {
  /// What is wrong, in words for the sender of the text.
  public var message: String
  /// Offset of the fault in bytes, where it is known.
  public var byteOffset: Int?
}

/// One parsed JSON text. It never changes after `init`, so values of it may be read from any thread.
///
/// Beyond RFC 8259: a key that stands twice in an object, a number beyond a double, invalid UTF-8, a lone surrogate
/// and nesting over `maxDepth` are errors. An integer literal of any length is read as a double.
// SAFETY: the only stored property points to a tape that no function of the shim writes to after csj_parse.
public final class JSONDocument: @unchecked Sendable {
  let tape: OpaquePointer

  /// Parses a whole text.
  ///
  /// `bytes` is not needed once this returns. Pass an array of which no other copy is alive, with 64 bytes of spare
  /// capacity, and it is not copied either.
  /// - Parameters:
  ///   - maxDepth: arrays and objects within one another, at most 1,024.
  ///   - mayHaveByteOrderMark: ignore a byte order mark in front, which a parser may (RFC 8259, 8.1) and which some clients send.
  /// - Throws: `JSONParseError` for every text that is not acceptable.
  public init(
    _ bytes: [UInt8], maxDepth: Int = 32, mayHaveByteOrderMark: Bool = false
  ) throws(JSONParseError) {
    let skipped = mayHaveByteOrderMark && bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? 3 : 0
    var padded = bytes
    let (needed, overflow) = bytes.count.addingReportingOverflow(csj_padding())
    if overflow { throw JSONParseError(message: "the text is too long", byteOffset: nil) }
    if padded.capacity < needed { padded.reserveCapacity(needed) }
    let depth = min(max(maxDepth, 1), 1024)
    var failure = csj_failure()
    // SAFETY: the capacity covers the padding; simdjson reads it, whatever it holds, and writes nothing. Access that
    // mutates would be wrong here: the copy that it makes of a shared array need not have that capacity.
    let parsed = padded.withUnsafeBufferPointer { text in
      csj_parse(text.baseAddress.map { $0 + skipped }, text.count - skipped, depth, &failure)
    }
    guard let parsed else {
      let offset = failure.has_offset ? Int(exactly: failure.offset).map { $0 + skipped } : nil
      throw JSONParseError(message: Self.text(of: failure), byteOffset: offset)
    }
    tape = parsed
  }

  deinit { csj_free(tape) }

  /// The value that the text states.
  public var root: JSONValue { JSONValue(document: self, at: csj_root()) }

  private static func text(of failure: csj_failure) -> String {
    withUnsafeBytes(of: failure.message) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
  }
}
