/// The fields that decide about framing and the connection, read strictly.
struct ControlFields {
  private(set) var hosts = 0
  private(set) var close = false
  private(set) var keepAlive = false
  private(set) var expectsContinue = false
  private(set) var hasUnknownExpectation = false
  private var length: Int?
  private var hasTransferEncoding = false
  private var codings = TransferCodings()

  /// Takes one field line; lines of no interest cost a look at their length.
  mutating func read(_ line: HTTPFields.Line, in bytes: [UInt8]) throws(RequestFailure) {
    let value = bytes[Int(line.valueStart)..<Int(line.valueEnd)]
    switch line.nameEnd &- line.nameStart {
    case 4 where line.isNamed("host", in: bytes):
      hosts += 1
      guard Authority.isValid(value, requiresPort: false) else { throw .bad("the Host field is not a host and port") }
    case 6 where line.isNamed("expect", in: bytes):
      for option in value.split(separator: ASCII.comma) {
        let word = option.trimmed
        if word.equals("100-continue") {
          expectsContinue = true
        } else if !word.isEmpty {
          hasUnknownExpectation = true
        }
      }
    case 10 where line.isNamed("connection", in: bytes):
      for option in value.split(separator: ASCII.comma) {
        let word = option.trimmed
        close = close || word.equals("close")
        keepAlive = keepAlive || word.equals("keep-alive")
      }
    case 14 where line.isNamed("content-length", in: bytes):
      // Also equal values twice are refused: the peers of this server have no reason to send them (RFC 9112, 6.3).
      guard length == nil, let number = Self.number(value) else {
        throw .bad("Content-Length is not one decimal number")
      }
      length = number
    case 17 where line.isNamed("transfer-encoding", in: bytes):
      hasTransferEncoding = true
      try codings.read(value)
    default: break
    }
  }

  /// The framing the fields declare; nil when they declare none.
  func framing(isHTTP10: Bool) throws(RequestFailure) -> BodyFraming? {
    guard hasTransferEncoding else { return length.map { $0 == 0 ? .none : .length($0) } }
    guard !isHTTP10 else { throw .bad("Transfer-Encoding in an HTTP/1.0 request") }
    guard length == nil else { throw .bad("both Transfer-Encoding and Content-Length") }
    try codings.requireChunkedAlone()
    return .chunked
  }

  /// 1*DIGIT without overflow; nil otherwise.
  private static func number(_ value: ArraySlice<UInt8>) -> Int? {
    guard !value.isEmpty else { return nil }
    var number = 0
    for byte in value {
      guard ASCII.isDigit(byte) else { return nil }
      let (tens, overflow) = number.multipliedReportingOverflow(by: 10)
      let (sum, carry) = tens.addingReportingOverflow(Int(byte &- ASCII.zero))
      guard !overflow, !carry else { return nil }
      number = sum
    }
    return number
  }
}

extension HTTPFields.Line {
  /// Compares with a name in lower case.
  @inline(__always)
  func isNamed(_ name: StaticString, in bytes: [UInt8]) -> Bool {
    bytes[Int(nameStart)..<Int(nameEnd)].equals(name)
  }
}
