/// The list in a Transfer-Encoding field (RFC 9112, 6.1 and 7). Only `chunked`, once and alone, is supported.
struct TransferCodings {
  private var chunked = 0
  private var others = 0
  private var endsInChunked = false

  /// Reads one field line's value.
  mutating func read(_ value: ArraySlice<UInt8>) throws(RequestFailure) {
    for element in value.split(separator: ASCII.comma, omittingEmptySubsequences: false) {
      let coding = element.trimmed
      // Empty elements and parameters are legal, but only request smuggling has a use for them.
      guard !coding.isEmpty, coding.allSatisfy(ByteSet.token.contains) else {
        throw .bad("Transfer-Encoding is not a list of coding names")
      }
      endsInChunked = coding.equals("chunked")
      if endsInChunked { chunked += 1 } else { others += 1 }
    }
  }

  /// Throws 400 when the end of the body cannot be found, 501 when it could be but a coding is unknown.
  func requireChunkedAlone() throws(RequestFailure) {
    guard chunked <= 1, chunked == 0 || endsInChunked else {
      throw .bad("chunked is not the last transfer coding, or not the only one")
    }
    guard others == 0 else { throw RequestFailure(status: 501, reason: "only the chunked transfer coding is known") }
  }
}

/// Reads `chunk-size [ chunk-ext ] CRLF` byte by byte (RFC 9112, 7.1 and 7.1.1).
///
/// Extensions are checked against their grammar and ignored: a reader that is laxer here than the proxy before it lets
/// requests be smuggled past that proxy.
struct ChunkSizeLine: Sendable {
  /// Leading zeros are legal, but not without end.
  private static let maxDigits = 32

  private enum State: Sendable {
    case size
    case blankBeforeSemicolon
    case nameStart
    case name
    case blankAfterName
    case valueStart
    case value
    case quoted
    case quotedPair
    case afterQuoted
    case lf
  }

  private var state = State.size
  private var digits = 0
  /// The size so far.
  private(set) var size = 0
  /// Bytes of the line behind the size.
  private(set) var extensionBytes = 0

  /// - Returns: true when `byte` ended the line.
  mutating func take(_ byte: UInt8) throws(RequestFailure) -> Bool {
    if state == .lf {
      guard byte == ASCII.lf else { throw .bad("a chunk-size line does not end in CRLF") }
      return true
    }
    if state == .size, let digit = ASCII.hexValue(byte) {
      digits += 1
      let (shifted, overflow) = size.multipliedReportingOverflow(by: 16)
      guard digits <= Self.maxDigits, !overflow else { throw .bad("a chunk-size is out of range") }
      size = shifted | Int(digit)
      return false
    }
    guard digits > 0 else { throw .bad("a chunk-size is not a hexadecimal number") }
    guard let next = next(byte) else { throw .bad("a chunk-size line is malformed") }
    if next != .lf { extensionBytes += 1 }
    state = next
    return false
  }

  /// The state behind `byte`; nil where the grammar does not allow it.
  private func next(_ byte: UInt8) -> State? {
    let isBlank = ASCII.isBlank(byte)
    switch state {
    case .size:
      return isBlank ? .blankBeforeSemicolon : separator(byte)
    case .blankBeforeSemicolon:
      return isBlank ? state : byte == ASCII.semicolon ? .nameStart : nil
    case .nameStart:
      return isBlank ? state : ByteSet.token.contains(byte) ? .name : nil
    case .name:
      if ByteSet.token.contains(byte) { return .name }
      return isBlank ? .blankAfterName : byte == ASCII.equals ? .valueStart : separator(byte)
    case .blankAfterName:
      if byte == ASCII.equals { return .valueStart }
      return isBlank ? state : byte == ASCII.semicolon ? .nameStart : nil
    case .valueStart:
      if byte == ASCII.quote { return .quoted }
      return isBlank ? state : ByteSet.token.contains(byte) ? .value : nil
    case .value:
      if ByteSet.token.contains(byte) { return .value }
      return isBlank ? .blankBeforeSemicolon : separator(byte)
    case .quoted:
      if byte == ASCII.quote { return .afterQuoted }
      return byte == ASCII.backslash ? .quotedPair : ASCII.isFieldValue(byte) ? .quoted : nil
    case .quotedPair:
      return ASCII.isFieldValue(byte) ? .quoted : nil
    case .afterQuoted:
      return isBlank ? .blankBeforeSemicolon : separator(byte)
    case .lf:
      return nil
    }
  }

  private func separator(_ byte: UInt8) -> State? {
    byte == ASCII.semicolon ? .nameStart : byte == ASCII.cr ? .lf : nil
  }
}

/// Checks and drops the trailer fields behind a last chunk (RFC 9112, 7.1.2), byte by byte.
///
/// This server uses no trailer field, and one that looks like framing must not be used (RFC 9110, 6.5.1).
struct TrailerSection: Sendable {
  private enum State: Sendable {
    case lineStart
    case name
    case value
    case lineLF
    case endLF
  }

  private var state = State.lineStart
  private var byteCount = 0
  private var fields = 0
  private let maxBytes: Int
  private let maxFields: Int

  init(maxBytes: Int, maxFields: Int) {
    self.maxBytes = maxBytes
    self.maxFields = maxFields
  }

  /// - Returns: true when `byte` ended the section.
  mutating func take(_ byte: UInt8) throws(RequestFailure) -> Bool {
    byteCount += 1
    guard byteCount <= maxBytes, fields <= maxFields else {
      throw RequestFailure(status: 431, reason: "the trailer section is too large")
    }
    switch state {
    case .lineStart where byte == ASCII.cr:
      state = .endLF
    case .lineStart:
      guard ByteSet.token.contains(byte) else { throw Self.malformed }
      fields += 1
      state = .name
    case .name:
      guard ByteSet.token.contains(byte) || byte == ASCII.colon else { throw Self.malformed }
      if byte == ASCII.colon { state = .value }
    case .value:
      guard ASCII.isFieldValue(byte) || byte == ASCII.cr else { throw Self.malformed }
      if byte == ASCII.cr { state = .lineLF }
    case .lineLF:
      guard byte == ASCII.lf else { throw Self.malformed }
      state = .lineStart
    case .endLF:
      guard byte == ASCII.lf else { throw Self.malformed }
      return true
    }
    return false
  }

  private static let malformed = RequestFailure.bad("a trailer field is malformed")
}
