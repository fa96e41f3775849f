import HTTP1
import Testing

/// The timeouts of `Script.limits`: head 10, body 20, write 30, idle 75. Lingering ends after 2 without input, or 5 in
/// all.
@Suite("Connection: timeouts")
struct ConnectionClockTests {
  @Test("A client that sends nothing is dropped without an answer")
  func silence() {
    let script = Script()
    #expect(script.deadline == 75)
    script.pass(to: 74)
    #expect(!script.isClosed)
    script.pass(to: 75)
    #expect(script.isClosed)
    #expect(script.sent.isEmpty)
  }

  @Test("Before the first byte of a request the idle timeout counts, and from then on the head timeout")
  func connectsEarly() {
    let script = Script()
    script.pass(to: 60)
    #expect(!script.isClosed)
    script.feed("G")
    #expect(script.deadline == 70)
    script.pass(to: 69)
    script.feed("ET /out HTTP/1.1\r\nHost: h\r\n\r\n")
    #expect(script.statuses == [200])
    #expect(script.deadline == 144)

    let slow = Script()
    slow.pass(to: 74)
    slow.feed("G")
    slow.pass(to: 83)
    #expect(slow.statuses.isEmpty)
    slow.pass(to: 84)
    #expect(slow.statuses == [408])
  }

  @Test("Empty lines before a request line neither begin a head nor restart the idle timeout", arguments: [0, 50])
  func emptyLines(_ start: UInt64) {
    // With `start` above 0 a first request is answered at that time, from which the idle timeout counts.
    func begun() -> Script {
      let script = Script()
      script.now = start
      if start > 0 { script.feed(RawCase.get("")) }
      script.pass(to: start + 20)
      script.feed("\r\n")
      script.pass(to: start + 40)
      script.feed("\r\n\r")
      return script
    }
    let silent = begun()
    #expect(silent.deadline == start + 75)
    silent.pass(to: start + 74)
    #expect(!silent.isClosed)
    silent.pass(to: start + 75)
    #expect(silent.isClosed)
    #expect(!silent.statuses.contains(408))

    let late = begun()
    late.pass(to: start + 74)
    late.feed("\nGET /out ")
    #expect(late.deadline == start + 84)
    late.feed("HTTP/1.1\r\nHost: h\r\n\r\n")
    #expect(late.statuses.last == 200)
    #expect(late.deadline == start + 149)
  }

  @Test("While an answer is being sent the idle timeout does not run, even with the next request waiting")
  func longDownload() {
    for next in ["", RawCase.get("")] {
      let script = Script()
      script.bodyLimit = 100_000
      script.takesOutput = false
      script.feed(RawCase.post("Content-Length: 50000\r\n", String(repeating: "x", count: 50_000)) + next)
      for time in stride(from: UInt64(20), through: 400, by: 20) {
        script.pass(to: time)
        script.take(1)
        #expect(script.deadline == time + 30)
      }
      while script.state.hasOutput { script.take(100_000) }
      #expect(script.requests.count == (next.isEmpty ? 1 : 2))
      #expect(script.deadline == 475)
    }
  }

  @Test("The head timeout counts from the first byte, however slowly the rest arrives")
  func slowHead() {
    let script = Script()
    script.now = 5
    script.feed("G")
    for time in UInt64(6)..<15 {
      script.pass(to: time)
      script.feed("X")
    }
    #expect(script.statuses.isEmpty)
    script.pass(to: 15)
    #expect(script.statuses == [408])
    #expect(script.hasFinished)
    #expect(script.text.contains("Connection: close\r\n"))
  }

  @Test("The idle timeout counts from the last answer")
  func idle() {
    let script = Script()
    script.now = 8
    script.feed(RawCase.get(""))
    #expect(script.statuses == [200])
    #expect(script.deadline == 83)
    script.pass(to: 82)
    #expect(!script.isClosed)
    script.pass(to: 83)
    #expect(script.isClosed)
    #expect(!script.text.contains("408"))
  }

  @Test("A second head has its own deadline")
  func secondHead() {
    let script = Script()
    script.feed(RawCase.get(""))
    script.pass(to: 50)
    script.feed("GET / HT")
    #expect(script.deadline == 60)
    script.pass(to: 60)
    #expect(script.statuses == [200, 408])
  }

  @Test("A body may take long to arrive, but a pause longer than the body timeout is 408")
  func pausingBody() {
    let script = Script()
    script.feed(RawCase.post("Content-Length: 9\r\n", ""))
    for time in stride(from: UInt64(19), through: 95, by: 19) {
      script.pass(to: time)
      script.feed("a")
    }
    #expect(script.statuses.isEmpty)
    script.pass(to: 114)
    #expect(script.statuses.isEmpty)
    script.pass(to: 115)
    #expect(script.statuses == [408])
    #expect(script.requests.isEmpty)
  }

  @Test("A body that arrives more slowly than the minimum rate is 408")
  func drippingBody() {
    var limits = Script.limits
    limits.bodyTimeout = 10_000_000_000
    limits.minimumBodyRate = 2
    let script = Script(limits: limits)
    script.feed(RawCase.post("Content-Length: 50\r\n", ""))
    // At 2 bytes/s each byte extends the deadline by half a second: 18 bytes move it from 10 s to 19 s.
    for second in UInt64(1)...18 {
      script.pass(to: second * 1_000_000_000)
      script.feed("a")
      #expect(script.statuses.isEmpty, "second \(second)")
    }
    script.pass(to: 19_000_000_000)
    #expect(script.statuses == [408])
  }

  @Test("While a request is handled no deadline runs")
  func handling() {
    let script = Script()
    script.answers = false
    script.feed(RawCase.get(""))
    #expect(script.deadline == .max)
    script.pass(to: 1_000_000)
    script.answer(Response(status: 200))
    #expect(!script.isClosed)
  }

  @Test("A client that reads nothing is dropped, and each byte that it reads restarts the write timeout")
  func slowReader() {
    let script = Script()
    script.takesOutput = false
    script.feed(RawCase.get(""))
    #expect(script.deadline == 30)
    script.pass(to: 29)
    script.take(1)
    #expect(script.deadline == 59)
    script.pass(to: 58)
    #expect(!script.isClosed)
    script.pass(to: 59)
    #expect(script.isClosed)
  }

  @Test("Lingering ends when no more input arrives")
  func lingerSilence() {
    let script = Script()
    script.feed("bad\r\n")
    #expect(script.hasFinished)
    script.pass(to: 1)
    script.feed("more")
    script.pass(to: 2)
    #expect(!script.isClosed)
    script.pass(to: 3)
    #expect(script.isClosed)
  }

  @Test("Lingering ends after its timeout, however much input arrives")
  func lingerTime() {
    let script = Script()
    script.feed("bad\r\n")
    for time in UInt64(1)...4 {
      script.pass(to: time)
      script.feed("GET / HTTP/1.1\r\n\r\n")
      #expect(!script.isClosed)
    }
    script.pass(to: 5)
    #expect(script.isClosed)
    #expect(script.statuses == [400])
  }

  @Test("Lingering ends at its limit of bytes, and when the client ends its side")
  func lingerBytes() {
    let flooded = Script()
    flooded.feed("bad\r\n")
    flooded.feed([UInt8](repeating: 65, count: 1000))
    #expect(!flooded.isClosed)
    flooded.feed("A")
    #expect(flooded.isClosed)

    let ended = Script()
    ended.feed("bad\r\n")
    ended.end()
    #expect(ended.isClosed)
  }
}
