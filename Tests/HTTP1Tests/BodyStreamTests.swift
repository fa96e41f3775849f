import HTTP1
import Synchronization
import Testing

@Suite("Body stream")
struct BodyStreamTests {
  /// Returns one piece per call, then empty ones, and counts the calls.
  private final class Source: Sendable {
    private let state: Mutex<(pieces: [String], calls: Int)>

    init(_ pieces: [String]) { state = Mutex((pieces, 0)) }

    var calls: Int { state.withLock { $0.calls } }

    func next() -> [UInt8] {
      state.withLock { state in
        state.calls += 1
        return state.pieces.isEmpty ? [] : Array(state.pieces.removeFirst().utf8)
      }
    }

    func stream(_ count: Int?) -> BodyStream { BodyStream(count: count) { deliver in deliver(self.next()) } }
  }

  private func script() -> Script {
    let script = Script()
    script.answers = false
    script.takesOutput = false
    return script
  }

  @Test("Pieces are sent one after another, followed by the answer to the next request")
  func whole() {
    let source = Source(["abc", "de", "f"])
    let script = script()
    script.feed(RawCase.get("") + RawCase.get(""))
    script.answer(Response(status: 200, stream: source.stream(6)))
    while script.state.hasOutput { script.take(1) }
    #expect(script.text.contains("Content-Length: 6\r\n"))
    #expect(script.text.hasSuffix("\r\n\r\nabcdef"))
    #expect(source.calls == 3)
    script.answer(Response(status: 201))
    while script.state.hasOutput { script.take(1000) }
    #expect(script.text.contains("abcdefHTTP/1.1 201 Created\r\n"))
  }

  @Test("Only one piece is made ahead of the one that is sent")
  func backpressure() {
    let source = Source(["abc", "def", "ghi"])
    let script = script()
    script.feed(RawCase.get(""))
    script.answer(Response(status: 200, stream: source.stream(9)))
    #expect(source.calls == 2)
    script.take(script.state.output.count - 1)
    #expect(source.calls == 2)
    script.take(1)
    #expect(source.calls == 3)
    #expect(script.isBusy)
    script.take(3)
    #expect(script.isBusy)
    script.take(3)
    #expect(script.text.hasSuffix("abcdefghi"))
    #expect(!script.isBusy)
  }

  @Test("Bytes beyond the stated length are not sent")
  func tooLong() {
    let script = script()
    script.feed(RawCase.get(""))
    script.answer(Response(status: 200, stream: Source(["abcd", "ef"]).stream(5)))
    while script.state.hasOutput { script.take(100) }
    #expect(script.text.hasSuffix("\r\n\r\nabcde"))
    #expect(!script.isClosed)
  }

  @Test("A stream that ends too early drops the connection", arguments: [[], ["ab"]])
  func tooShort(_ pieces: [String]) {
    let script = script()
    script.feed(RawCase.get("") + RawCase.get(""))
    script.answer(Response(status: 200, stream: Source(pieces).stream(5)))
    while script.state.hasOutput { script.take(100) }
    #expect(script.isClosed)
    #expect(script.requests.count == 1)
  }

  @Test("The answer to HEAD states the length, and no piece is made")
  func head() {
    let source = Source(["abc"])
    let script = script()
    script.feed("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n")
    script.answer(Response(status: 200, stream: source.stream(3)))
    while script.state.hasOutput { script.take(100) }
    #expect(script.text.hasSuffix("Content-Length: 3\r\n\r\n"))
    #expect(source.calls == 0)
    #expect(!script.isClosed)
  }

  @Test("Without a length the pieces are chunks, followed by the answer to the next request")
  func chunks() {
    let long = String(repeating: "x", count: 300)
    let script = script()
    script.feed(RawCase.get("") + RawCase.get(""))
    script.answer(Response(status: 200, stream: Source(["abc", long, "d"]).stream(nil)))
    while script.state.hasOutput { script.take(7) }
    #expect(script.text.contains("Transfer-Encoding: chunked\r\n") && !script.text.contains("Content-Length"))
    #expect(script.text.hasSuffix("\r\n\r\n3\r\nabc\r\n12c\r\n\(long)\r\n1\r\nd\r\n0\r\n\r\n"))
    script.answer(Response(status: 201))
    while script.state.hasOutput { script.take(1000) }
    #expect(script.text.contains("0\r\n\r\nHTTP/1.1 201 Created\r\n"))
  }

  @Test("Without a length and without chunks the end of the connection is the end of the body")
  func closeDelimited() {
    let script = script()
    script.feed("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    script.answer(Response(status: 200, stream: Source(["abc", "de"]).stream(nil)))
    while script.state.hasOutput { script.take(2) }
    #expect(!script.text.contains("Transfer-Encoding") && !script.text.contains("Content-Length"))
    #expect(script.text.contains("Connection: close\r\n") && script.text.hasSuffix("\r\n\r\nabcde"))
    #expect(!script.isBusy)
  }

  @Test("An answer without a length may be empty", arguments: [true, false])
  func emptyChunks(_ isHead: Bool) {
    let script = script()
    let source = Source([])
    script.feed((isHead ? "HEAD" : "GET") + " / HTTP/1.1\r\nHost: h\r\n\r\n")
    script.answer(Response(status: 200, stream: source.stream(nil)))
    while script.state.hasOutput { script.take(100) }
    #expect(script.text.hasSuffix("Transfer-Encoding: chunked\r\n\r\n" + (isHead ? "" : "0\r\n\r\n")))
    #expect(source.calls == (isHead ? 0 : 1))
    #expect(!script.isClosed)
  }

  @Test(
    "When the rest cannot be made, what was made is sent, and the connection is dropped without an end",
    arguments: [nil, 10])
  func broken(_ count: Int?) {
    let script = script()
    let pieces = Mutex<[[UInt8]?]>([Array("abc".utf8), nil])
    script.feed(RawCase.get("") + RawCase.get(""))
    script.answer(
      Response(
        status: 200, stream: BodyStream(count: count) { deliver in deliver(pieces.withLock { $0.removeFirst() }) }))
    while script.state.hasOutput { script.take(100) }
    #expect(script.text.hasSuffix(count == nil ? "\r\n\r\n3\r\nabc\r\n" : "\r\n\r\nabc"))
    #expect(script.isClosed)
    #expect(script.requests.count == 1)
  }

  @Test("A client that reads nothing is dropped at the write deadline")
  func stalled() {
    let script = script()
    script.feed(RawCase.get(""))
    script.answer(Response(status: 200, stream: Source(["abc", "def"]).stream(6)))
    script.take(script.state.output.count)
    script.pass(to: script.state.deadline)
    #expect(script.isClosed)
  }

  @Test("While a piece is being made, nothing is sent, no deadline runs, and the next request waits")
  func late() {
    let deliveries = Mutex<[BodyStream.Delivery]>([])
    let script = script()
    script.feed(RawCase.get("") + RawCase.get(""))
    let stream = BodyStream(count: 4) { deliver in deliveries.withLock { $0.append(deliver) } }
    script.answer(Response(status: 200, stream: stream))
    script.take(script.state.output.count)
    #expect(deliveries.withLock { $0.count } == 1)
    #expect(!script.hasOutput)
    #expect(script.isBusy)
    #expect(script.deadline == .max)
    #expect(script.requests.count == 1)
    script.now = 1000
    deliveries.withLock { $0[0] }(Array("ab".utf8))
    script.takePieces()
    #expect(script.deadline == 1030)
    // The second piece is made while the first is sent.
    #expect(deliveries.withLock { $0.count } == 2)
    script.take(2)
    deliveries.withLock { $0[1] }(Array("cd".utf8))
    script.takePieces()
    script.take(2)
    #expect(script.text.hasSuffix("\r\n\r\nabcd"))
    #expect(script.requests.count == 2)
  }
}
