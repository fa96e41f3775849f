import HTTPClient
import Testing

@Suite("Client: responses")
struct ResponseReaderTests {
  /// Reads `count` responses from bytes that arrive `step` at a time.
  private func read(_ text: String, step: Int, count: Int = 1, limit: Int = 1000) throws -> [ClientResponse] {
    var rest = Array(text.utf8)[...]
    var reader = ResponseReader()
    return try (0..<count).map { _ in
      try reader.read(isHead: false, limit: limit, sink: nil) { () throws(ClientError) -> [UInt8] in
        defer { rest = rest.dropFirst(step) }
        return Array(rest.prefix(step))
      }
    }
  }

  @Test(
    "A body ends by its length, its last chunk or the connection's end, however the bytes arrive",
    arguments: [1, 2, 7, 1000])
  func framing(_ step: Int) throws {
    let found = try read(
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length:  3 \r\nX-A: b\r\n\r\nabc"
        + "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nde\r\n1\r\nf\r\n0\r\nT: u\r\n\r\n"
        + "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 503 Busy\r\nRetry-After: 7\r\n\r\nlast", step: step, count: 4)
    #expect(found.map(\.status) == [200, 201, 204, 503])
    #expect(found.map { String(decoding: $0.body, as: UTF8.self) } == ["abc", "def", "", "last"])
    #expect(found[0].field("x-a") == "b")
    #expect(found[3].field("retry-after") == "7")
  }

  @Test(
    "Bytes that are not a complete, valid response are an error",
    arguments: [
      "", "H", "HTTP/2 200\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n" + String(repeating: "x", count: 1001),
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
      "HTTP/1.1 200 OK\r\nX: " + String(repeating: "x", count: 10_000),
      "HTTP/1.1 200 OK\r\n" + String(repeating: "X: y\r\n", count: 20_000),
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + String(repeating: "X: y\r\n", count: 20_000)
        + "\r\n",
    ])
  func broken(_ text: String) {
    for step in [1, 1000] { #expect(throws: ClientError.self) { try read(text, step: step) } }
  }

  @Test("A sink gets the body of a success, but not that of a failure")
  func sink() throws {
    for (status, taken) in [(200, "abc"), (404, "")] {
      var rest = Array("HTTP/1.1 \(status) X\r\nContent-Length: 3\r\n\r\nabc".utf8)
      var found: [UInt8] = []
      var reader = ResponseReader()
      let sink = { (piece: ArraySlice<UInt8>) throws(ClientError) in found += piece }
      let response = try reader.read(isHead: false, limit: 3, sink: sink) { () throws(ClientError) -> [UInt8] in
        defer { rest = [] }
        return rest
      }
      #expect(String(decoding: found, as: UTF8.self) == taken)
      #expect(response.body.isEmpty == !taken.isEmpty)
    }
  }
}
