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

    func stream(_ count: Int) -> BodyStream { BodyStream(count: count) { deliver in deliver(self.next()) } }
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
