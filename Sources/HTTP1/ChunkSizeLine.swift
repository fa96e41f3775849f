/// Reads `chunk-size [ chunk-ext ] CRLF` byte by byte (RFC 9112, 7.1 and 7.1.1).
///
/// Extensions are checked against their grammar and ignored: a lax reader here is a way around a strict proxy.
struct ChunkSizeLine: Sendable {
  /// Leading zeros are legal but bounded.
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
  /// Bytes behind the size.
  private(set) var extensionBytes = 0

  /// True when `byte` ended the line.
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

  /// The state behind `byte`; nil when the grammar has no place for it.
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
