import HTTP1
import Platform
import Testing

@Suite("Response serializer")
struct ResponseSerializerTests {
  private let serializer = ResponseSerializer(unixSeconds: 784_111_777)

  private func text(_ response: Response, _ context: ResponseSerializer.Context = .init()) -> String {
    String(decoding: serializer.bytes(response, context), as: UTF8.self)
  }

  @Test("A response has its head, its fields in order, and its body")
  func whole() {
    let response = Response(status: 201, fields: HTTPFields([("B", "2"), ("A", "1")]), body: Array("hi".utf8))
    #expect(
      text(response) == """
        HTTP/1.1 201 Created\r
        Date: Sun, 06 Nov 1994 08:49:37 GMT\r
        B: 2\r
        A: 1\r
        Content-Length: 2\r
        \r
        hi
        """)
  }

  @Test("The answer to HEAD states the length and has no body")
  func head() {
    let found = text(Response(status: 200, body: Array("hi".utf8)), .init(isHead: true))
    #expect(found.hasSuffix("Content-Length: 2\r\n\r\n"))
  }

  @Test("A 204 or 304 has neither body nor length", arguments: [204, 304])
  func empty(_ status: Int) {
    let found = text(Response(status: status, body: Array("hi".utf8)))
    #expect(!found.contains("Content-Length"))
    #expect(found.hasSuffix("\r\n\r\n"))
  }

  @Test("The Connection field says whether the connection stays open")
  func connection() {
    #expect(!text(Response(status: 200)).contains("Connection"))
    #expect(text(Response(status: 200), .init(closes: true)).contains("Connection: close\r\n"))
    #expect(text(Response(status: 200), .init(isHTTP10: true)).contains("Connection: keep-alive\r\n"))
    #expect(text(Response(status: 200), .init(isHTTP10: true, closes: true)).contains("Connection: close\r\n"))
  }

  @Test("Fields that would split or reframe the response are left out")
  func splitting() {
    let fields = HTTPFields([
      ("X", "a\r\nSet-Cookie: b"), ("Y\r\n", "c"), ("Z", "\0"), ("Y y", "d"), ("", "e"), ("content-length", "99"),
      ("Transfer-Encoding", "chunked"), ("Connection", "close"), ("Date", "today"), ("Good", "f\tg \u{e9}"),
    ])
    #expect(
      text(Response(status: 200, fields: fields)) == """
        HTTP/1.1 200 OK\r
        Date: Sun, 06 Nov 1994 08:49:37 GMT\r
        Good: f\tg \u{e9}\r
        Content-Length: 0\r
        \r\n
        """)
  }

  @Test("A field that was set again is sent once, with its last value")
  func replaced() {
    var fields = HTTPFields([("A", "1"), ("b", "2")])
    fields.set("a", "3")
    fields.append("C", "4")
    #expect(text(Response(status: 200, fields: fields)).contains("GMT\r\nb: 2\r\na: 3\r\nC: 4\r\nContent-Length"))
  }

  @Test("Fields that came with a request can be sent as an answer's")
  func passedOn() throws {
    var parser = RequestParser()
    let head = Array("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nX:y  \r\n\r\n".utf8)
    guard case .consumed(let parsed) = parser.parse(head.span) else {
      Issue.record("the head is valid")
      return
    }
    var fields = parsed.head.fields
    fields.append("Z", "z")
    #expect(text(Response(status: 200, fields: fields)).contains("GMT\r\nHost: h\r\nX: y\r\nZ: z\r\nContent-Length"))
  }

  @Test("A status outside 200 to 599 becomes 500, and one without a known phrase is kept")
  func statuses() {
    #expect(text(Response(status: 100)).hasPrefix("HTTP/1.1 500 \r\n"))
    #expect(text(Response(status: -7)).hasPrefix("HTTP/1.1 500 \r\n"))
    #expect(text(Response(status: 299)).hasPrefix("HTTP/1.1 299 \r\n"))
  }

  @Test("The Date field follows the clock")
  func renewal() {
    var serializer = serializer
    serializer.renew(unixSeconds: 784_111_778)
    let found = String(decoding: serializer.bytes(Response(status: 200), .init()), as: UTF8.self)
    #expect(found.contains("Date: Sun, 06 Nov 1994 08:49:38 GMT\r\n"))
  }

  @Test("Dates agree with the C library's over four centuries, and are clamped at the bounds")
  func dates() {
    func expected(_ seconds: Int) -> String {
      var time = time_t(seconds)
      var parts = tm()
      gmtime_r(&time, &parts)
      var buffer = [CChar](repeating: 0, count: 64)
      let count = strftime(&buffer, 64, "%a, %d %b %Y %H:%M:%S GMT", &parts)
      return String(decoding: buffer[..<count].map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
    // Steps of a prime number of seconds reach every month, leap day and hour.
    for seconds in stride(from: 0, to: 13_000_000_000, by: 1_000_003) {
      #expect(String(decoding: HTTPDate.bytes(unixSeconds: seconds), as: UTF8.self) == expected(seconds))
    }
    for (seconds, text) in [
      (-1, "Thu, 01 Jan 1970 00:00:00 GMT"), (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
      (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"), (Int.max, "Fri, 31 Dec 9999 23:59:59 GMT"),
    ] {
      #expect(String(decoding: HTTPDate.bytes(unixSeconds: seconds), as: UTF8.self) == text)
    }
  }
}
