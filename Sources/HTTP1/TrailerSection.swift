/// Checks and drops the trailer fields behind a last chunk (RFC 9112, 7.1.2), byte by byte.
///
/// No trailer field means anything to this server, least of all one that looks like framing (RFC 9110, 6.5.1).
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

  /// True when `byte` ended the section.
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
