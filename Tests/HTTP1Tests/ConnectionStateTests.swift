import HTTP1
import Testing

@Suite("Connection: state")
struct ConnectionStateTests {
  private static let interim = "HTTP/1.1 100 Continue\r\n\r\n"

  @Test("100 Continue is sent once, before the body")
  func interimAnswer() {
    let script = Script()
    script.feed(RawCase.post("Expect: 100-continue\r\nContent-Length: 2\r\n", ""))
    #expect(script.text == Self.interim)
    script.feed("a")
    script.feed("b")
    #expect(script.requests == ["POST /in ab"])
    #expect(script.text.hasPrefix(Self.interim + "HTTP/1.1 200 OK\r\n"))
  }

  @Test("100 Continue is not sent when the body is arriving already, not wanted, or too long")
  func noInterimAnswer() {
    for (raw, status) in [
      (RawCase.post("Expect: 100-continue\r\nContent-Length: 2\r\n", "a"), nil),
      (RawCase.post("Expect: 100-continue\r\nContent-Length: 51\r\n", ""), 413),
      ("POST /no HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n", 404),
      ("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n", nil),
    ] {
      let script = Script()
      script.feed(raw)
      #expect(!script.text.contains(" 100 "), "\(raw)")
      #expect(script.statuses.first == status, "\(raw)")
      // After a refusal it is unknown whether the client still sends the body, so the connection ends.
      #expect(script.hasFinished == (status != nil), "\(raw)")
    }
  }

  @Test("A TLS handshake is not answered")
  func handshake() {
    let script = Script()
    script.feed([0x16, 0x03, 0x01])
    #expect(script.hasFinished)
    #expect(script.statuses.isEmpty)
    #expect(script.sent.isEmpty)
  }

  @Test("Draining closes idle connections at once and announces the close to the others")
  func drain() {
    let idle = Script()
    idle.feed(RawCase.get(""))
    idle.drain()
    #expect(idle.isClosed)

    let busy = Script()
    busy.answers = false
    busy.feed(RawCase.get(""))
    #expect(busy.isBusy)
    busy.drain()
    #expect(!busy.isClosed)
    busy.answer(Response(status: 200))
    #expect(busy.text.contains("Connection: close\r\n"))
    #expect(busy.hasFinished)

    let late = Script()
    late.drain()
    late.feed(RawCase.get(""))
    #expect(late.statuses == [200])
    #expect(late.text.contains("Connection: close\r\n"))
  }

  @Test("An incomplete head is not waited for while draining", arguments: ["G", "GET / HTTP/1.1\r\nHost:", "\r\n"])
  func drainWithinHead(_ part: String) {
    for isKept in [false, true] {
      let script = Script()
      if isKept { script.feed(RawCase.get("")) }
      script.feed(part)
      #expect(script.isSettled)
      script.drain()
      #expect(script.isSettled)
      #expect(!script.isBusy)
      #expect(!script.isClosed)
      // Its timeout brings no answer either, since the drain would have to wait until the client has read it.
      script.pass(to: script.state.deadline)
      #expect(script.isClosed)
      #expect(!script.statuses.contains(408))
    }
  }

  @Test("A head that is completed while draining is answered")
  func drainBeforeHeadEnds() {
    let script = Script()
    script.feed("GET /out HTTP/1.1\r\nHo")
    script.drain()
    script.feed("st: h\r\n\r\n")
    #expect(script.statuses == [200])
    #expect(script.text.contains("Connection: close\r\n"))
    #expect(script.hasFinished)
  }

  @Test("A request whose head is whole is finished while draining, including its body")
  func drainWithinBody() {
    let script = Script()
    script.feed(RawCase.post("Content-Length: 4\r\n", "ab"))
    #expect(!script.isSettled)
    script.drain()
    #expect(!script.isSettled)
    #expect(script.isBusy)
    script.feed("cd")
    #expect(script.requests == ["POST /in abcd"])
    #expect(script.text.contains("Connection: close\r\n"))
    // The connection lingers so that the client can read the answer.
    #expect(script.hasFinished)
    #expect(!script.isBusy)
    #expect(!script.isSettled)
    script.end()
    #expect(script.isClosed)
    #expect(script.isSettled)
  }

  @Test("The rest of a refused body is not waited for while draining")
  func drainWithinDiscarding() {
    let script = Script()
    script.feed("PUT /no HTTP/1.1\r\nHost: h\r\nContent-Length: 18\r\n\r\n")
    #expect(script.statuses == [404])
    #expect(!script.hasFinished)
    script.drain()
    #expect(script.hasFinished)
    #expect(!script.isClosed)
    script.pass(to: 2)
    #expect(script.isClosed)
  }

  @Test("A half-closed client gets every answer, the last with Connection: close")
  func halfClose() {
    let script = Script()
    script.answers = false
    script.feed(RawCase.get("") + RawCase.get(""))
    script.end()
    script.answer(Response(status: 200))
    #expect(!script.text.contains("Connection: close"))
    script.answer(Response(status: 201))
    #expect(script.text.contains("201 Created"))
    #expect(script.text.contains("Connection: close\r\n"))
    #expect(script.isClosed)
  }

  @Test("A client that ends its side before it has read the answer still gets all of it")
  func lateHalfClose() {
    let script = Script()
    script.takesOutput = false
    script.feed(RawCase.get(""))
    script.take(10)
    script.end()
    #expect(!script.isClosed)
    #expect(script.hasOutput)
    script.take(10_000)
    #expect(script.text.hasSuffix("Content-Length: 0\r\n\r\n"))
    #expect(script.isClosed)
  }

  @Test("Pipelined requests wait for their turn, and reading stops when enough of them wait")
  func backpressure() {
    let script = Script()
    script.answers = false
    script.feed(RawCase.get(""))
    #expect(script.wantsInput)
    while script.state.wantsInput { script.feed(RawCase.get("")) }
    #expect(script.requests.count == 1)
    script.answers = true
    script.answer(Response(status: 200))
    #expect(script.wantsInput)
    #expect(script.requests.count == script.statuses.count)
    #expect(script.requests.count > 100)
  }

  @Test("While answers are not read, further requests are not handled")
  func outputBackpressure() {
    let script = Script()
    script.takesOutput = false
    for _ in 0..<300 { script.feed(RawCase.get("")) }
    #expect(script.requests.count < 100)
    script.takesOutput = true
    script.run()
    while script.requests.count < 300, script.state.hasOutput || script.state.wantsInput {
      let before = script.requests.count
      script.run()
      if script.requests.count == before { break }
    }
    #expect(script.requests.count == 300)
  }

  @Test("A long answer is sent completely before the next one")
  func longAnswer() {
    let script = Script()
    script.bodyLimit = 100_000
    script.takesOutput = false
    let body = String(repeating: "x", count: 50_000)
    script.feed(RawCase.post("Content-Length: 50000\r\n", body) + RawCase.get(""))
    #expect(script.requests.count == 1)
    while script.state.hasOutput { script.take(7000) }
    #expect(script.requests.count == 2)
    #expect(script.text.contains(body + "HTTP/1.1 200 OK\r\n"))
  }

  @Test("A second answer to the same request is ignored")
  func secondAnswer() {
    let script = Script()
    script.answers = false
    script.feed(RawCase.get(""))
    script.answer(Response(status: 200))
    let first = script.sent
    script.answer(Response(status: 201))
    #expect(script.sent == first)
  }

  @Test("A handler can end the connection, and a refusal always ends it")
  func closing() {
    let script = Script()
    script.answers = false
    script.feed(RawCase.get(""))
    var last = Response(status: 200)
    last.closesConnection = true
    script.answer(last)
    #expect(script.hasFinished)

    var refused = ConnectionState(limits: Script.limits, now: 0)
    refused.refuse(Response(status: 503), with: ResponseSerializer(), now: 0)
    let count = refused.output.count
    #expect(count > 0)
    refused.sent(count, now: 0)
    guard case .finishSending = refused.next(now: 0) else {
      Issue.record("a refused connection must end")
      return
    }
  }

  @Test("A client that sends no more is not waited for where closing at once loses nothing")
  func closesAtOnce() {
    let last = "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
    func end(_ request: String, mayCloseAtOnce: Bool = true) -> (closes: Bool, lingers: Bool, statuses: [Int]) {
      let script = Script(mayCloseAtOnce: mayCloseAtOnce)
      script.feed(request)
      return (script.isClosed, script.hasFinished, script.statuses)
    }
    #expect(end(last) == (true, false, [200]))
    #expect(end(last.replacing("1.1", with: "1.0")) == (true, false, [200]))
    #expect(
      end("POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 2\r\n\r\nab") == (true, false, [200]))
    // TLS has to end first.
    #expect(end(last, mayCloseAtOnce: false) == (false, true, [200]))
    // Bytes behind the request would make the close a reset, which may destroy the answer.
    #expect(end(last + "G") == (false, true, [200]))
    // So would the rest of a body that is not read.
    #expect(
      end("POST /no HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 20\r\n\r\n") == (false, true, [404]))
    #expect(
      end("POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 51\r\n\r\n") == (false, true, [413]))
    // A client that has not said so may send another request.
    #expect(end("GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n") == (false, true, [400]))
  }

  @Test("A close at once waits until the answer has been sent")
  func closesBehindTheAnswer() {
    let script = Script(mayCloseAtOnce: true)
    script.takesOutput = false
    script.feed("POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 2\r\n\r\nab")
    #expect(!script.isClosed)
    script.take(10)
    #expect(!script.isClosed)
    script.takesOutput = true
    script.run()
    #expect(script.text.hasSuffix("\r\n\r\nab"))
    script.run()
    #expect(script.isClosed)
  }

  @Test("The error answer to a HEAD has no body")
  func failedHead() {
    let script = Script()
    script.feed("HEAD /out HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n")
    #expect(script.statuses == [400])
    #expect(script.text.hasSuffix("\r\n\r\n"))
  }

  @Test("A body that ends early because the client ends its side is 400, not a request")
  func truncatedBody() {
    let script = Script()
    script.feed(RawCase.post("Content-Length: 2\r\n", "a"))
    script.end()
    #expect(script.statuses == [400])
    #expect(script.requests.isEmpty)
    #expect(script.isClosed)
  }
}
