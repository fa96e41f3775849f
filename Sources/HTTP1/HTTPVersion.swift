/// The protocol versions this server tells apart (RFC 9112, 2.3; RFC 9110, 2.5).
enum HTTPVersion: Sendable {
  case http10
  /// HTTP/1.1, and every later minor of major 1.
  case http11

  /// Length of `HTTP/1.1`.
  static let byteCount = 8

  /// Checks one byte of `HTTP/` DIGIT `.` DIGIT, which is case-sensitive.
  @inline(__always)
  static func check(_ byte: UInt8, at index: Int) throws(RequestFailure) {
    let isRight =
      switch index {
      case 0: byte == 0x48
      case 1, 2: byte == 0x54
      case 3: byte == 0x50
      case 4: byte == ASCII.slash
      case 6: byte == 0x2e
      default: ASCII.isDigit(byte)
      }
    if !isRight { throw .bad("the request line does not end in an HTTP version") }
  }

  init(major: UInt8, minor: UInt8) throws(RequestFailure) {
    guard major == 0x31 else { throw RequestFailure(status: 505, reason: "only HTTP/1.x is spoken here") }
    self = minor == ASCII.zero ? .http10 : .http11
  }
}
