import HTTP1
import Testing

@Suite("Messages")
struct MessageTests {
  @Test("Field names are compared without regard to case, and duplicates are kept and joined")
  func fields() {
    var fields = HTTPFields([("Accept", "a"), ("Host", "h"), ("ACCEPT", "b")])
    #expect(fields["accept"] == "a, b")
    #expect(fields.values(of: "aCCept") == ["a", "b"])
    #expect(fields["Missing"] == nil)
    #expect(fields.contains("hOST"))
    fields.set("accept", "c")
    #expect(fields.values(of: "Accept") == ["c"])
    #expect(fields.count == 2)
    fields.append("Accept", "")
    #expect(fields["Accept"] == "c, ")
    #expect(fields == HTTPFields([("host", "h"), ("accept", "c"), ("accept", "")]))
  }

  @Test("Fields that were parsed read the same as fields that were built")
  func parsed() throws {
    let raw = Array("GET /a%2Fb/c?x=1&y=%20+&z HTTP/1.1\r\nHost: h\r\nX:  v w \t\r\nx: u\r\n\r\nrest".utf8)
    var parser = RequestParser()
    guard case .consumed(let parsed) = parser.parse(raw.span) else {
      Issue.record("not consumed")
      return
    }
    #expect(parsed.byteCount == raw.count - 4)
    #expect(parsed.framing == .none)
    #expect(parsed.persists)
    let head = parsed.head
    #expect(head.method == .get)
    #expect(head.target == "/a%2Fb/c?x=1&y=%20+&z")
    #expect(head.path == "/a%2Fb/c")
    #expect(head.pathSegments == ["a/b", "c"])
    #expect(head.query == "x=1&y=%20+&z")
    #expect(head.queryItems.map(\.name) == ["x", "y", "z"])
    #expect(head.queryItems.map(\.value) == ["1", "  ", ""])
    #expect(head.fields["x"] == "v w, u")
    #expect(!head.isHTTP10)
  }

  @Test("A path is split into decoded segments, without its query")
  func segments() {
    for (target, segments) in [
      ("/", []), ("/a", ["a"]), ("/a/", ["a", ""]), ("//a", ["", "a"]), ("/%c3%a9?/x", ["\u{e9}"]), ("/%zz", ["%zz"]),
    ] {
      #expect(RequestHead(method: .get, target: target).pathSegments == segments)
    }
    #expect(RequestHead(method: .get, target: "/a").query == nil)
    #expect(RequestHead(method: .get, target: "/a?").query == "")
  }

  @Test("The authority of an absolute-form target replaces the Host field")
  func absolute() {
    let raw = Array("GET http://b:81/x HTTP/1.1\r\nHost: a\r\n\r\n".utf8)
    var parser = RequestParser()
    guard case .consumed(let parsed) = parser.parse(raw.span) else {
      Issue.record("not consumed")
      return
    }
    #expect(parsed.head.target == "/x")
    #expect(parsed.head.fields.values(of: "Host") == ["b:81"])
  }

  @Test(
    "Every method keeps its name, and only those in upper case are known",
    arguments: ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT", "get"])
  func methods(_ name: String) {
    #expect(HTTPMethod(name: name).name == name)
    #expect((HTTPMethod(name: name) == .other(name)) == (name == "get"))
  }

  @Test("Memory for a body grows as the body arrives, not as its length announces")
  func growth() throws {
    var decoder = try BodyDecoder(.length(1 << 40), limit: 1 << 41)
    var body: [UInt8] = []
    let piece = [UInt8](repeating: 7, count: 1000)
    #expect(decoder.decode(piece.span, into: &body) == .partial)
    #expect(body.count == 1000)
    #expect(body.capacity < 2 << 20)
    #expect(throws: RequestFailure.self) { try BodyDecoder(.length(101), limit: 100) }
  }

  @Test("A body whose declared length is 0 is whole before any byte has come")
  func emptyBody() throws {
    var decoder = try BodyDecoder(.length(0), limit: 0)
    var body: [UInt8] = []
    #expect(decoder.isDone)
    #expect(decoder.decode([UInt8]().span, into: &body) == .consumed(0))
    #expect(decoder.decode(Array("GET".utf8).span, into: &body) == .consumed(0))
    #expect(body == [])
  }

  @Test("The extensions of all chunks together have a limit")
  func extensions() throws {
    var decoder = try BodyDecoder(.chunked, limit: 1 << 20)
    let chunk = Array(("1;" + String(repeating: "e", count: 999) + "\r\na\r\n").utf8)
    var body: [UInt8] = []
    for _ in 0..<16 { #expect(decoder.decode(chunk.span, into: &body) == .partial) }
    guard case .bad(let failure) = decoder.decode(chunk.span, into: &body) else {
      Issue.record("17,000 bytes of extensions were taken")
      return
    }
    #expect(failure.status == 400)
    #expect(body.count == 16)
  }
}
