import HTTP1
import Testing

@Suite("Request target")
struct TargetTests {
  /// Parses a GET with `target`, whose bytes arrive split at the places that `cut` returns for their number.
  private func parse(_ target: [UInt8], cut: (Int) -> [Int]) -> Result<RequestHead, RequestFailure>? {
    let raw = Array("GET ".utf8) + target + Array(" HTTP/1.1\r\nHost: h\r\n\r\n".utf8)
    var parser = RequestParser()
    for end in cut(raw.count) + [raw.count] {
      switch parser.parse(Array(raw[..<end]).span) {
      case .partial: continue
      case .bad(let failure): return .failure(failure)
      case .consumed(let parsed): return .success(parsed.head)
      }
    }
    return nil
  }

  /// Parses a GET with `target`, and checks that the result is the same wherever the bytes are split in two, and when
  /// they arrive one by one.
  private func parse(_ target: [UInt8]) -> Result<RequestHead, RequestFailure>? {
    func outcome(_ result: Result<RequestHead, RequestFailure>?) -> String {
      switch result {
      case .success(let head): "\(head.target) \(head.pathSegments) \(head.queryItems)"
      case .failure(let failure): "\(failure)"
      case nil: "partial"
      }
    }
    let whole = parse(target) { _ in [] }
    #expect(outcome(parse(target) { Array(1..<$0) }) == outcome(whole), "byte by byte: \(target)")
    for place in 1..<(target.count + 20) {
      #expect(outcome(parse(target) { _ in [place] }) == outcome(whole), "cut at \(place): \(target)")
    }
    return whole
  }

  private func status(_ result: Result<RequestHead, RequestFailure>?) -> Int? {
    switch result {
    case .success: 200
    case .failure(let failure): failure.status
    case nil: nil
    }
  }

  private func hex(_ byte: UInt8) -> String {
    let digits = Array("0123456789ABCDEF")
    return "%" + String(digits[Int(byte / 16)]) + String(digits[Int(byte % 16)])
  }

  /// The printable characters that a URI's path cannot contain (RFC 3986, 3.3) and that are percent-encoded instead.
  private static let escapedInPath = Array(#"|"^{}`<>\[]"#.utf8)
  private static let escapedInQuery = Array(#"|"^{}`<>\"#.utf8)

  @Test("Each byte in a path is kept, percent-encoded, or refused", arguments: UInt8.min...UInt8.max)
  func pathBytes(_ byte: UInt8) throws {
    let found = parse(Array("/a".utf8) + [byte] + Array("z/b?c".utf8))
    let isRefused = byte <= 0x20 || byte >= 0x7f || byte == UInt8(ascii: "#") || byte == UInt8(ascii: "%")
    guard !isRefused else {
      #expect(status(found) == 400)
      return
    }
    let head = try #require(try found?.get())
    let character = String(UnicodeScalar(byte))
    switch character {
    case "/": #expect(head.pathSegments == ["a", "z", "b"])
    case "?": #expect(head.pathSegments == ["a"])
    default: #expect(head.pathSegments == ["a\(character)z", "b"])
    }
    let written = Self.escapedInPath.contains(byte) ? hex(byte) : character
    #expect(head.target == "/a\(written)z/b?c")
    #expect(head.path == (character == "?" ? "/a" : "/a\(written)z/b"))
    // The escaped form is the same request.
    guard character != "/", character != "?" else { return }
    let escaped = try #require(try parse(Array("/a\(hex(byte))z/b?c".utf8))?.get())
    #expect(escaped.pathSegments == head.pathSegments)
    if Self.escapedInPath.contains(byte) { #expect(escaped.target == head.target) }
  }

  @Test("Each byte in a query is kept, percent-encoded, or refused", arguments: UInt8.min...UInt8.max)
  func queryBytes(_ byte: UInt8) throws {
    let found = parse(Array("/?n=a".utf8) + [byte] + Array("z".utf8))
    let isRefused = byte <= 0x20 || byte >= 0x7f || byte == UInt8(ascii: "#") || byte == UInt8(ascii: "%")
    guard !isRefused else {
      #expect(status(found) == 400)
      return
    }
    let head = try #require(try found?.get())
    let character = String(UnicodeScalar(byte))
    switch character {
    case "&": #expect(head.queryItems.map(\.name) == ["n", "z"])
    case "+": #expect(head.queryItems.map(\.value) == ["a z"])
    default: #expect(head.queryItems.map(\.value) == ["a\(character)z"])
    }
    let written = Self.escapedInQuery.contains(byte) ? hex(byte) : character
    #expect(head.query == "n=a\(written)z")
    guard character != "&", character != "+" else { return }
    let escaped = try #require(try parse(Array("/?n=a\(hex(byte))z".utf8))?.get())
    #expect(escaped.queryItems.map(\.value) == head.queryItems.map(\.value))
    if Self.escapedInQuery.contains(byte) { #expect(escaped.target == head.target) }
  }

  @Test(
    "Raw UTF-8 means the same as its percent-encoded form",
    arguments: [
      "\u{80}", "é", "\u{7ff}", "\u{800}", "€", "日本語", "\u{d7ff}", "\u{e000}", "\u{fffd}", "\u{ffff}", "\u{10000}", "😀",
      "\u{10ffff}", "e\u{301}", "a|é{日}", "\u{feff}",
    ])
  func utf8(_ text: String) throws {
    let escaped = text.utf8.map { $0 < 0x80 && !Self.escapedInPath.contains($0) ? String(UnicodeScalar($0)) : hex($0) }
      .joined()
    let head = try #require(try parse(Array("/\(text)/x?k\(text)=\(text)&l".utf8))?.get())
    #expect(head.target == "/\(escaped)/x?k\(escaped)=\(escaped)&l")
    #expect(Array(head.pathSegments[0].utf8) == Array(text.utf8))
    #expect(Array(head.queryItems[0].name.utf8) == Array("k\(text)".utf8))
    #expect(Array(head.queryItems[0].value.utf8) == Array(text.utf8))
    let absolute = try #require(try parse(Array("http://other:81/\(text)?\(text)".utf8))?.get())
    #expect(absolute.target == "/\(escaped)?\(escaped)")
    #expect(absolute.fields["Host"] == "other:81")
    let withoutPath = try #require(try parse(Array("http://other?\(text)".utf8))?.get())
    #expect(withoutPath.target == "/?\(escaped)")
  }

  @Test(
    "Bytes that are not UTF-8 are refused",
    arguments: [
      [0x80], [0xbf], [0xc3], [0xe9], [0xff], [0xfe],
      // Overlong encodings of "/", NUL, U+007F, U+07FF and U+FFFF.
      [0xc0, 0xaf], [0xc0, 0x80], [0xe0, 0x80, 0xaf], [0xf0, 0x80, 0x80, 0xaf], [0xc1, 0xbf], [0xe0, 0x9f, 0xbf],
      [0xf0, 0x8f, 0xbf, 0xbf],
      // Surrogates, alone and as a pair.
      [0xed, 0xa0, 0x80], [0xed, 0xbf, 0xbf], [0xed, 0xa0, 0xbd, 0xed, 0xb8, 0x80],
      // Code points beyond U+10FFFF, and encodings of five and six bytes.
      [0xf4, 0x90, 0x80, 0x80], [0xf5, 0x80, 0x80, 0x80], [0xf8, 0x88, 0x80, 0x80, 0x80],
      [0xfc, 0x84, 0x80, 0x80, 0x80, 0x80],
      // Sequences that are too short, too long, or continued by an escape.
      [0xe2, 0x82], [0xf0, 0x9f, 0x98], [0xc3, 0xa9, 0xa9], [0xc3, 0x25, 0x41, 0x39], [0xc3, 0x2f, 0xa9],
    ] as [[UInt8]])
  func notUTF8(_ bytes: [UInt8]) {
    for target in [[0x2f] + bytes, [0x2f, 0x3f] + bytes, [0x2f] + bytes + [0x2f, 0x61]] {
      #expect(status(parse(target)) == 400, "\(target)")
    }
    // An absolute-form target is checked as well.
    #expect(status(parse(Array("http://o/".utf8) + bytes)) == 400)
  }

  @Test(
    "Characters that an authority cannot contain are refused",
    arguments: ["http://o|p/", "http://é/", "http://o\\p/", "http://{o}/"])
  func authority(_ target: String) {
    #expect(status(parse(Array(target.utf8))) == 400)
  }

  @Test("OPTIONS * or of an address without a path is about the server as a whole, and other requests are not")
  func asterisk() throws {
    func head(_ line: String) throws -> RequestHead {
      var parser = RequestParser()
      guard case .consumed(let parsed) = parser.parse(Array("\(line) HTTP/1.1\r\nHost: h\r\n\r\n".utf8).span) else {
        throw RequestFailure(status: 0, reason: line)
      }
      return parsed.head
    }
    for line in ["OPTIONS *", "OPTIONS http://o"] {
      let head = try head(line)
      #expect(head.isForWholeServer)
      #expect(head.method == .options)
      #expect(head.target == "*")
      #expect(head.path == "*")
      #expect(head.query == nil)
      #expect(head.pathSegments == [])
    }
    for line in ["OPTIONS /", "OPTIONS /*", "GET /*", "OPTIONS http://o/", "OPTIONS http://o?q"] {
      #expect(try !head(line).isForWholeServer, "\(line)")
    }
    #expect(RequestHead(method: .options, target: "*").isForWholeServer)
    #expect(!RequestHead(method: .options, target: "").isForWholeServer)
  }
}
