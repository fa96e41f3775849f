extension RawCase {
  static let chunks: [RawCase] = [
    .good("two chunks", post(chunked, "1\r\na\r\nA\r\n0123456789\r\n0\r\n\r\n"), ["POST /in a0123456789"]),
    .good(
      "hexadecimal in both cases", post(chunked, "b\r\n01234567890\r\nC\r\n012345678901\r\n0\r\n\r\n"),
      ["POST /in 01234567890012345678901"]),
    .good("zeros before a size", post(chunked, "0003\r\nabc\r\n000\r\n\r\n"), ["POST /in abc"]),
    .good("CRLF in a chunk", post(chunked, "4\r\n\r\n\r\n\r\n0\r\n\r\n"), ["POST /in \r\n\r\n"]),
    .good("extension", post(chunked, "1;x\r\na\r\n0\r\n\r\n"), ["POST /in a"]),
    .good("extension with value", post(chunked, "1;x=y;z=\"\\\"\t;\"\r\na\r\n0;q=1\r\n\r\n"), ["POST /in a"]),
    .good("extension with blanks", post(chunked, "1 ; x = y ; z\r\na\r\n0\r\n\r\n"), ["POST /in a"]),
    .good("trailers", post(chunked, "1\r\na\r\n0\r\nA: b\r\nC:\r\n\r\n"), ["POST /in a"]),
    .good("framing in trailers", post(chunked, "1\r\na\r\n0\r\nContent-Length: 7\r\n\r\n"), ["POST /in a"]),
    .good("chunks as long as the limit", post(chunked, "32\r\n" + body50 + "\r\n0\r\n\r\n"), ["POST /in " + body50]),
    .bad(413, "chunk too long", post(chunked, "33\r\n")),
    .bad(413, "chunks too long together", post(chunked, "32\r\n" + body50 + "\r\n1\r\n")),
    .bad(413, "chunk of 60 bits", post(chunked, "fffffffffffffff\r\n")),
    .bad(400, "chunk over 64 bits", post(chunked, "10000000000000001\r\na\r\n0\r\n\r\n")),
    .bad(400, "no size", post(chunked, "\r\na\r\n0\r\n\r\n")),
    .bad(400, "extension without size", post(chunked, ";a\r\na\r\n0\r\n\r\n")),
    .bad(400, "size with plus", post(chunked, "+1\r\na\r\n0\r\n\r\n")),
    .bad(400, "size with 0x", post(chunked, "0x1\r\na\r\n0\r\n\r\n")),
    .bad(400, "size with blank behind", post(chunked, "1 \r\na\r\n0\r\n\r\n")),
    .bad(400, "size with blank before", post(chunked, "\t1\r\na\r\n0\r\n\r\n")),
    .bad(400, "size ends in LF", post(chunked, "1\na\r\n0\r\n\r\n")),
    .bad(400, "size ends in CR", post(chunked, "1\ra\r\n0\r\n\r\n")),
    .bad(400, "LF in an extension", post(chunked, "1;x\na\r\n0\r\n\r\n")),
    .bad(400, "CR in a quoted extension", post(chunked, "1;x=\"\r\n\"\r\na\r\n0\r\n\r\n")),
    .bad(400, "extension without name", post(chunked, "1;\r\na\r\n0\r\n\r\n")),
    .bad(400, "extension without value", post(chunked, "1;x=\r\na\r\n0\r\n\r\n")),
    .bad(400, "comma for semicolon", post(chunked, "1,x\r\na\r\n0\r\n\r\n")),
    .bad(400, "data too short", post(chunked, "3\r\nab\r\n0\r\n\r\n")),
    .bad(400, "data ends in LF", post(chunked, "1\r\na\n0\r\n\r\n")),
    .bad(400, "data ends in CR", post(chunked, "1\r\na\r0\r\n\r\n")),
    .bad(400, "no CRLF behind the data", post(chunked, "1\r\na0\r\n\r\n")),
    .bad(400, "trailer with space before the colon", post(chunked, "0\r\nA : b\r\n\r\n")),
    .bad(400, "trailer folded", post(chunked, "0\r\nA: b\r\n c\r\n\r\n")),
    .bad(400, "trailer without name", post(chunked, "0\r\n: b\r\n\r\n")),
    .bad(400, "trailer with control character", post(chunked, "0\r\nA: \u{1}\r\n\r\n")),
    .bad(400, "trailers end in LF", post(chunked, "0\r\n\n")),
    .bad(400, "trailers end in CR X", post(chunked, "0\r\n\rX")),
    .bad(431, "long trailers", post(chunked, "0\r\nA: " + String(repeating: "z", count: 1100) + "\r\n\r\n")),
    .bad(431, "many trailers", post(chunked, "0\r\n" + String(repeating: "A: b\r\n", count: 9) + "\r\n")),
  ]

  static let connections: [RawCase] = [
    .good("two requests", get("") + get(""), ["GET /out ", "GET /out "]),
    .good(
      "bodies and requests",
      post("Content-Length: 4\r\n", "GET ") + get("") + post(chunked, "1\r\nP\r\n0\r\n\r\n")
        + get(""), ["POST /in GET ", "GET /out ", "POST /in P", "GET /out "]),
    .good("empty line between", post("Content-Length: 1\r\n", "a") + "\r\n" + get(""), ["POST /in a", "GET /out "]),
    .good("close", get("Connection: close\r\n") + get(""), ["GET /out "], closes: true),
    .good("close in a second line", get("Connection: a\r\nConnection: b ,\tCLOSE,\r\n"), ["GET /out "], closes: true),
    .good("closed is not close", get("Connection: closed\r\n"), ["GET /out "]),
    .good("HTTP/1.0", "GET / HTTP/1.0\r\n\r\n" + get(""), ["GET / "], closes: true),
    .good(
      "HTTP/1.0 keep-alive", "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n" + get(""), ["GET / ", "GET /out "]),
    .good("keep-alive and close", "GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", ["GET / "], closes: true),
    .good("upgrade ignored", get("Connection: upgrade\r\nUpgrade: h2c\r\n"), ["GET /out "]),
    .good("expectation with no body", get("Expect: 100-continue\r\n"), ["GET /out "]),
    .good(
      "expectation of a 1.0 client", "POST /in HTTP/1.0\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\na",
      ["POST /in a"], closes: true),
    .bad(417, "other expectation", post("Expect: tea\r\nContent-Length: 1\r\n", "a")),
    .bad(417, "two expectations", post("Expect: 100-continue, tea\r\nContent-Length: 1\r\n", "a")),
    .bad(400, "bad behind good", get("") + "GET /\r\n\r\n", after: ["GET /out "]),
    .bad(400, "body longer than its length", post("Content-Length: 1\r\n", "a/b" + get("")), after: ["POST /in a"]),
    RawCase(
      name: "rejected bodies are skipped",
      raw: latin1(
        "PUT /no HTTP/1.1\r\nHost: h\r\nContent-Length: 18\r\n\r\nGET / HTTP/1.1\r\n\r\nPOST /no HTTP/1.1\r\nHost: h\r\n"
          + chunked + "\r\n2\r\nGE\r\n0\r\nA: b\r\n\r\n" + get("")),
      statuses: [404, 404, 200], closes: false, requests: ["GET /out "]),
    RawCase(
      name: "rejected body too long to skip",
      raw: latin1("PUT /no HTTP/1.1\r\nHost: h\r\nContent-Length: 201\r\n\r\n" + get("")),
      statuses: [404], closes: true, requests: []),
  ]
}
