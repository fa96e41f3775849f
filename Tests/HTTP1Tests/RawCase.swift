import Testing

/// Bytes that a client sends, and the expected outcome, however they are split into reads.
struct RawCase: Sendable, CustomTestStringConvertible {
  let name: String
  let raw: [UInt8]
  /// The statuses of the final answers, in order.
  let statuses: [Int]
  /// Whether the connection ends after them.
  let closes: Bool
  /// `METHOD target body` of every request that reaches the handler.
  let requests: [String]

  /// Requests that are all answered with 200. The connection stays open unless `closes`.
  static func good(_ name: String, _ raw: String, _ requests: [String], closes: Bool = false) -> RawCase {
    RawCase(
      name: name, raw: Self.latin1(raw), statuses: requests.map { _ in 200 }, closes: closes, requests: requests)
  }

  /// A faulty request, which is refused and ends the connection.
  static func bad(_ status: Int, _ name: String, _ raw: String, after requests: [String] = []) -> RawCase {
    RawCase(
      name: name, raw: Self.latin1(raw), statuses: requests.map { _ in 200 } + [status], closes: true,
      requests: requests)
  }

  var testDescription: String { name }

  /// The bytes of a text in Latin-1: each scalar is below 256 and becomes one byte.
  static func latin1(_ text: String) -> [UInt8] {
    text.unicodeScalars.map { UInt8(truncatingIfNeeded: $0.value) }
  }

  /// A POST with the given header lines and body.
  static func post(_ lines: String, _ body: String) -> String {
    "POST /in HTTP/1.1\r\nHost: h\r\n" + lines + "\r\n" + body
  }

  /// A GET with the given header lines.
  static func get(_ lines: String) -> String {
    "GET /out HTTP/1.1\r\nHost: h\r\n" + lines + "\r\n"
  }

  static let chunked = "Transfer-Encoding: chunked\r\n"

  static let all = requestLines + hosts + fields + lengths + codings + chunks + connections
}

extension RawCase {
  static let requestLines: [RawCase] = [
    .good("query", "GET /a?b=c&d HTTP/1.1\r\nHost: h\r\n\r\n", ["GET /a?b=c&d "]),
    .good("dots and sub-delims", "GET /a/../b;c=1,2!$&'()* HTTP/1.1\r\nHost: h\r\n\r\n", ["GET /a/../b;c=1,2!$&'()* "]),
    .good("percent-encoding", "DELETE /a%2Fb%20c HTTP/1.1\r\nHost: h\r\n\r\n", ["DELETE /a%2Fb%20c "]),
    .good("absolute target", "GET http://other:81/x?y HTTP/1.1\r\nHost: h\r\n\r\n", ["GET /x?y "]),
    .good("absolute https target in any case", "GET HtTpS://o/x HTTP/1.1\r\nHost: h\r\n\r\n", ["GET /x "]),
    .good("absolute target without path", "GET http://o HTTP/1.1\r\nHost: h\r\n\r\n", ["GET / "]),
    .good("absolute target with query only", "GET http://o?q HTTP/1.1\r\nHost: h\r\n\r\n", ["GET /?q "]),
    .good("absolute target with IPv6", "GET http://[2001:db8::1]:8/ HTTP/1.1\r\nHost: h\r\n\r\n", ["GET / "]),
    .good("OPTIONS with an asterisk", "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", ["OPTIONS * "]),
    .good("OPTIONS for the whole of http://o", "OPTIONS http://o HTTP/1.1\r\nHost: h\r\n\r\n", ["OPTIONS * "]),
    .good("minor version 9", "GET / HTTP/1.9\r\nHost: h\r\n\r\n", ["GET / "]),
    .good("empty lines first", "\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", ["GET / "]),
    .bad(400, "nine empty lines", String(repeating: "\r\n", count: 9)),
    .bad(400, "bare LF first", "\nGET / HTTP/1.1\r\nHost: h\r\n\r\n"),
    .bad(400, "CR without LF first", "\rGET / HTTP/1.1\r\nHost: h\r\n\r\n"),
    .bad(400, "space first", " GET / HTTP/1.1\r\nHost: h\r\n\r\n"),
    .bad(400, "two spaces", "GET  / HTTP/1.1\r\nHost: h\r\n\r\n"),
    .bad(400, "two spaces before the version", "GET /  HTTP/1.1\r\nHost: h\r\n\r\n"),
    .bad(400, "space behind the version", "GET / HTTP/1.1 \r\nHost: h\r\n\r\n"),
    .bad(400, "tab in place of a space", "GET\t/ HTTP/1.1\r\nHost: h\r\n\r\n"),
    .bad(400, "no version", "GET /\r\n\r\n"),
    .bad(400, "lower-case version", "GET / http/1.1\r\nHost: h\r\n\r\n"),
    .bad(400, "version with two digits", "GET / HTTP/1.10\r\nHost: h\r\n\r\n"),
    .bad(505, "major version 3", "GET / HTTP/3.0\r\nHost: h\r\n\r\n"),
    .bad(505, "HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    .bad(505, "version 0.9", "GET / HTTP/0.9\r\nHost: h\r\n\r\n"),
    .bad(400, "request line ends in LF", "GET / HTTP/1.1\nHost: h\r\n\r\n"),
    .bad(400, "method with separator", "GE(T / HTTP/1.1\r\nHost: h\r\n\r\n"),
    .bad(400, "method not ASCII", "G\u{c9}T / HTTP/1.1\r\nHost: h\r\n\r\n"),
    .bad(501, "lower-case method", "get / HTTP/1.1\r\nHost: h\r\n\r\n"),
    .bad(501, "unknown method", "BREW /pot HTTP/1.1\r\nHost: h\r\n\r\n"),
    .bad(501, "method without end", String(repeating: "M", count: 64)),
    .bad(405, "TRACE", "TRACE / HTTP/1.1\r\nHost: h\r\n\r\n"),
    .bad(405, "CONNECT", "CONNECT o:443 HTTP/1.1\r\nHost: o:443\r\n\r\n"),
    .bad(400, "CONNECT without port", "CONNECT o HTTP/1.1\r\nHost: o\r\n\r\n"),
    .bad(400, "asterisk with GET", "GET * HTTP/1.1\r\nHost: h\r\n\r\n"),
    .bad(400, "authority with GET", "GET o:80 HTTP/1.1\r\nHost: h\r\n\r\n"),
    .bad(400, "other scheme", "GET ftp://o/ HTTP/1.1\r\nHost: h\r\n\r\n"),
    .bad(400, "no authority", "GET http:///x HTTP/1.1\r\nHost: h\r\n\r\n"),
    .bad(400, "user information", "GET http://u@o/ HTTP/1.1\r\nHost: h\r\n\r\n"),
    .bad(400, "fragment", "GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n"),
    .good("backslash", "GET /a\\b HTTP/1.1\r\nHost: h\r\n\r\n", ["GET /a%5Cb "]),
    .good(
      "target in UTF-8", "GET /\u{c3}\u{a9}?\u{e2}\u{82}\u{ac} HTTP/1.1\r\nHost: h\r\n\r\n", ["GET /%C3%A9?%E2%82%AC "]),
    .bad(400, "target not UTF-8", "GET /\u{e9} HTTP/1.1\r\nHost: h\r\n\r\n"),
    .bad(400, "NUL in the target", "GET /\0 HTTP/1.1\r\nHost: h\r\n\r\n"),
    .bad(400, "incomplete percent-encoding", "GET /a%4 HTTP/1.1\r\nHost: h\r\n\r\n"),
    .bad(400, "percent without hexadecimal digits", "GET /a%g1 HTTP/1.1\r\nHost: h\r\n\r\n"),
    .good("brackets in path and query", "GET /a[0]?b[1] HTTP/1.1\r\nHost: h\r\n\r\n", ["GET /a%5B0%5D?b[1] "]),
    .bad(414, "long target", "GET /" + String(repeating: "x", count: 1100) + " HTTP/1.1\r\nHost: h\r\n\r\n"),
  ]

  static let hosts: [RawCase] = [
    .good("host and port", "GET / HTTP/1.1\r\nHost: a.b-c_d:65535\r\n\r\n", ["GET / "]),
    .good("host with empty port", "GET / HTTP/1.1\r\nHost: a:\r\n\r\n", ["GET / "]),
    .good("IPv6 host that ends in IPv4", "GET / HTTP/1.1\r\nHost: [::ffff:1.2.3.4]\r\n\r\n", ["GET / "]),
    .good("IPv6 host without gap", "GET / HTTP/1.1\r\nHost: [1:2:3:4:5:6:7:8]\r\n\r\n", ["GET / "]),
    .bad(400, "no host", "GET / HTTP/1.1\r\nA: b\r\n\r\n"),
    .bad(400, "absolute target without Host", "GET http://o/ HTTP/1.1\r\n\r\n"),
    .bad(400, "two hosts", "GET / HTTP/1.1\r\nHost: a\r\nA: b\r\nhost: b\r\n\r\n"),
    .bad(400, "blank host", "GET / HTTP/1.1\r\nHost: \t \r\n\r\n"),
    .bad(400, "port too large", "GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n"),
    .bad(400, "port not a number", "GET / HTTP/1.1\r\nHost: a:8x\r\n\r\n"),
    .bad(400, "host with user", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n"),
    .bad(400, "host with query", "GET / HTTP/1.1\r\nHost: a?b\r\n\r\n"),
    .bad(400, "IPv6 host without closing bracket", "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n"),
    .bad(400, "IPv6 host of nine groups", "GET / HTTP/1.1\r\nHost: [1:2:3:4:5:6:7:8:9]\r\n\r\n"),
    .bad(400, "IPv6 host with two gaps", "GET / HTTP/1.1\r\nHost: [1::2::3]\r\n\r\n"),
    .bad(400, "IPv6 host without brackets", "GET / HTTP/1.1\r\nHost: ::1\r\n\r\n"),
  ]
}
