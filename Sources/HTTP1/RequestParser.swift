/// Reads request heads from a growing buffer (RFC 9112, 2 to 6).
///
/// The whole contract is `partial`, `bad` or `consumed`. The parser is strict, because two readers that disagree about
/// a request can be played against each other: lines end in CRLF and nothing else, lines are not folded, no space stands
/// before a colon, and there is one Content-Length or one `chunked`, never both. Each byte is looked at once, however
/// the bytes arrive: the caller passes the same unconsumed bytes again, with more behind them.
public struct RequestParser {
  /// What `parse` found.
  public enum Progress: Sendable {
    /// A valid beginning; more bytes are needed.
    case partial
    /// Not a request; nothing behind it can be trusted.
    case bad(RequestFailure)
    /// A whole head, which takes the first `byteCount` bytes.
    case consumed(ParsedHead)
  }

  /// A few empty lines before a request are tolerated (RFC 9112, 2.2); a flood is not.
  private static let maxEmptyLines = 8
  /// A method longer than this is answered 501, since no method of this server comes near it (RFC 9112, 3).
  private static let maxMethodBytes = 32

  private enum State: Sendable {
    case lineStart
    case emptyLineLF
    case method
    case target
    case version
    case requestLineLF
    case fieldStart
    case fieldName
    case valueStart
    case value
    case fieldLF
    case headLF
  }

  private let maxHeadBytes: Int
  private let maxFields: Int
  private var state = State.lineStart
  private var cursor = 0
  private var emptyLines = 0
  private var start = 0
  private var methodEnd = 0
  private var targetEnd = 0
  private var version = HTTPVersion.http11
  private var line = HTTPFields.Line(nameStart: 0, nameEnd: 0, valueStart: 0, valueEnd: 0)
  private var lines: [HTTPFields.Line] = []
  private let spares: SpareBuffers

  /// A parser for one connection; after `consumed` it is ready for the next head.
  public init(maxHeadBytes: Int = 16_384, maxFields: Int = 100, spares: SpareBuffers = SpareBuffers()) {
    self.maxHeadBytes = max(64, min(maxHeadBytes, 1 << 30))
    self.maxFields = maxFields
    self.spares = spares
  }

  /// True once a byte of a request line was seen. Empty lines before it do not count: they are to be ignored
  /// (RFC 9112, 2.2).
  public var hasBegun: Bool { state != .lineStart && state != .emptyLineLF }

  /// True when the method read so far is HEAD: an answer to it must not have a body even if the rest is bad.
  public private(set) var isHead = false

  /// Goes on where the last call stopped. `input` starts at the first unconsumed byte.
  public mutating func parse(_ input: Span<UInt8>) -> Progress {
    do throws(RequestFailure) {
      // Limits are applied to positions, not to what happens to be in the buffer, so that the same bytes give the same
      // verdict however they are split.
      while cursor < min(input.count, start &+ maxHeadBytes) {
        if try step(input, min(input.count, start &+ maxHeadBytes)) { return .consumed(try finish(input)) }
      }
      if cursor &- start >= maxHeadBytes { throw tooLarge() }
      return .partial
    } catch {
      return .bad(error)
    }
  }

  /// Moves over the bytes of one syntactic element. True at the end of the head.
  @inline(__always)
  private mutating func step(_ input: Span<UInt8>, _ end: Int) throws(RequestFailure) -> Bool {
    var at = cursor
    defer { cursor = at }
    switch state {
    case .lineStart:
      start = at
      if input[at] == ASCII.cr {
        at &+= 1
        state = .emptyLineLF
      } else {
        state = .method
      }
    case .emptyLineLF:
      try expectLF(input[at])
      emptyLines &+= 1
      guard emptyLines <= Self.maxEmptyLines else { throw .bad("too many empty lines before the request line") }
      at &+= 1
      state = .lineStart
    case .method:
      while at < end, ByteSet.token.contains(input[at]) { at &+= 1 }
      guard at &- start <= Self.maxMethodBytes else {
        throw RequestFailure(status: 501, reason: "the method is not implemented")
      }
      guard at < end else { break }
      guard input[at] == ASCII.space, at > start else { throw .bad("the method is not a token followed by one space") }
      methodEnd = at
      isHead = at &- start == 4 && input[start] == 0x48 && input[start &+ 1] == 0x45  // only HEAD begins with HE
      at &+= 1
      state = .target
    case .target:
      // Whether bytes from 0x80 are UTF-8 is decided once the head is whole.
      while at < end, ByteSet.target.contains(input[at]) || input[at] >= 0x80 { at &+= 1 }
      guard at < end else { break }
      guard input[at] == ASCII.space, at > methodEnd &+ 1 else { throw .bad("the request target has an invalid byte") }
      targetEnd = at
      at &+= 1
      state = .version
    case .version:
      try HTTPVersion.check(input[at], at: at &- targetEnd &- 1)
      if at &- targetEnd == HTTPVersion.byteCount {
        version = try HTTPVersion(major: input[at &- 2], minor: input[at])
        state = .requestLineLF
      }
      at &+= 1
    case .requestLineLF:
      // CR and LF in turn: the first stands right behind the version's last digit.
      if at == targetEnd &+ HTTPVersion.byteCount &+ 1 {
        guard input[at] == ASCII.cr else { throw .bad("the request line does not end in CRLF") }
      } else {
        try expectLF(input[at])
        state = .fieldStart
      }
      at &+= 1
    case .fieldStart:
      if input[at] == ASCII.cr {
        at &+= 1
        state = .headLF
      } else {
        guard lines.count < maxFields else {
          throw RequestFailure(status: 431, reason: "more than \(maxFields) field lines")
        }
        line.nameStart = UInt32(truncatingIfNeeded: at &- start)
        state = .fieldName
      }
    case .fieldName:
      while at < end, ByteSet.token.contains(input[at]) { at &+= 1 }
      guard at < end else { break }
      // Catches folded lines and a space before the colon too (RFC 9112, 5.1 and 5.2).
      guard input[at] == ASCII.colon, at &- start > Int(line.nameStart) else {
        throw .bad("a field name is not a token followed by a colon")
      }
      line.nameEnd = UInt32(truncatingIfNeeded: at &- start)
      at &+= 1
      state = .valueStart
    case .valueStart:
      while at < end, ASCII.isBlank(input[at]) { at &+= 1 }
      guard at < end else { break }
      line.valueStart = UInt32(truncatingIfNeeded: at &- start)
      state = .value
    case .value:
      while at < end, ASCII.isFieldValue(input[at]) { at &+= 1 }
      guard at < end else { break }
      guard input[at] == ASCII.cr else { throw .bad("a field value holds a control character") }
      var last = at
      while last &- start > Int(line.valueStart), ASCII.isBlank(input[last &- 1]) { last &-= 1 }
      line.valueEnd = UInt32(truncatingIfNeeded: last &- start)
      at &+= 1
      state = .fieldLF
    case .fieldLF:
      try expectLF(input[at])
      if lines.capacity == 0 { lines = spares.takeLines() }
      lines.append(line)
      at &+= 1
      state = .fieldStart
    case .headLF:
      try expectLF(input[at])
      at &+= 1
      return true
    }
    return false
  }

  private func expectLF(_ byte: UInt8) throws(RequestFailure) {
    guard byte == ASCII.lf else { throw .bad("a carriage return stands alone") }
  }

  private func tooLarge() -> RequestFailure {
    switch state {
    case .lineStart, .emptyLineLF, .method, .target, .version, .requestLineLF:
      RequestFailure(status: 414, reason: "the request line is longer than \(maxHeadBytes) bytes")
    default:
      RequestFailure(status: 431, reason: "the request head is longer than \(maxHeadBytes) bytes")
    }
  }

  private mutating func finish(_ input: Span<UInt8>) throws(RequestFailure) -> ParsedHead {
    var bytes = spares.takeHead()
    bytes.append(copying: input.extracting(start..<cursor))
    var lines: [HTTPFields.Line] = []
    swap(&lines, &self.lines)
    let head = try ParsedHead(
      bytes: bytes, method: methodEnd &- start, target: (methodEnd &+ 1 &- start)..<(targetEnd &- start),
      version: version, lines: lines, byteCount: cursor)
    (state, cursor, emptyLines, start, isHead) = (.lineStart, 0, 0, 0, false)
    return head
  }
}

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
