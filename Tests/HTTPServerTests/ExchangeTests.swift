import Dispatch
import HTTP1
import HTTPServer
import Synchronization
import Testing

@Suite("Server: exchanges", .serialized)
struct ExchangeTests {
  private static func get(_ target: String, _ lines: String = "") -> String {
    "GET \(target) HTTP/1.1\r\nHost: h\r\n\(lines)\r\n"
  }

  @Test("A connection serves one request after another")
  func keepAlive() throws {
    let running = try RunningServer(handler: ClosureHandler.echo)
    let client = Client(port: running.port)
    for number in 0..<20 {
      client.send(Self.get("/\(number)"))
      let answer = client.receive()
      #expect(answer?.text == "/\(number)")
      #expect(answer?.closes == false)
    }
    client.send(Self.get("/last", "Connection: close\r\n"))
    #expect(client.receive()?.closes == true)
    #expect(client.isAtEnd())
    client.disconnect()
    #expect(running.stop() == true)
    #expect(running.server.statistics.requests == 21)
    #expect(running.server.statistics.connectionsAccepted == 1)
    #expect(running.server.statistics.connectionsOpen == 0)
  }

  @Test("Thousands of pipelined requests are answered in order")
  func pipelining() throws {
    let running = try RunningServer(handler: ClosureHandler.echo)
    let client = Client(port: running.port)
    // More requests than a connection lets wait at once.
    let count = 5000
    DispatchQueue(label: "sender").async { [client = Box(client)] in
      client.value.send((0..<count).map { Self.get("/\($0)") }.joined())
    }
    for number in 0..<count {
      let answer = client.receive()
      guard answer?.text == "/\(number)" else {
        Issue.record("request \(number) got \(String(describing: answer))")
        break
      }
    }
    #expect(running.stop() == true)
  }

  @Test("Answers that other threads give in any order reach their connections")
  func otherThreads() throws {
    let inbox = Inbox()
    let running = try RunningServer(handler: inbox.handler)
    let clients = (0..<16).map { _ in Client(port: running.port) }
    for round in 0..<20 {
      for (number, client) in clients.enumerated() { client.send(Self.get("/\(round)/\(number)")) }
      let held = inbox.take(clients.count)
      #expect(held.count == clients.count)
      let queues = (0..<2).map { DispatchQueue(label: "worker \($0)") }
      for (place, item) in held.reversed().enumerated() {
        queues[place % 2].async {
          item.reply.send(Response(status: 200, body: Array(item.target.utf8)))
          item.reply.send(Response(status: 500))
        }
      }
      for (number, client) in clients.enumerated() { #expect(client.receive()?.text == "/\(round)/\(number)") }
    }
    #expect(running.stop() == true)
  }

  @Test("A request whose reply the handler drops is answered with 500")
  func forgotten() throws {
    let running = try RunningServer(handler: ClosureHandler { _, _ in })
    let client = Client(port: running.port)
    client.send(Self.get("/"))
    #expect(client.receive()?.status == 500)
    #expect(running.stop() == true)
  }

  @Test("endOfPass is called after the requests of each pass of the loop")
  func endOfPass() throws {
    let state = Box(Mutex<[any ReplyChannel]>([]))
    var handler = ClosureHandler { _, reply in state.value.withLock { $0.append(reply) } }
    handler.passes = { _ in
      let replies = state.value.withLock { held in
        defer { held = [] }
        return held
      }
      for reply in replies { reply.send(Response(status: 202)) }
    }
    let running = try RunningServer(handler: handler)
    let client = Client(port: running.port)
    for _ in 0..<3 {
      client.send(Self.get("/"))
      #expect(client.receive()?.status == 202)
    }
    // The client sends nothing more, so endOfPass must be called without further input until all are answered.
    client.send(String(repeating: Self.get("/"), count: 50))
    for _ in 0..<50 { #expect(client.receive()?.status == 202) }
    #expect(running.stop() == true)
  }

  @Test("Long bodies are received and sent, with a length and in chunks")
  func longBodies() throws {
    let running = try RunningServer(handler: ClosureHandler.echo)
    let body = (0..<(9 << 20)).map { UInt8(truncatingIfNeeded: $0 &* 2_654_435_761 >> 13) }
    let client = Client(port: running.port)
    client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: \(body.count)\r\n\r\n")
    client.send(body)
    #expect(client.receive()?.body == body)

    client.send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
    for start in stride(from: 0, to: body.count, by: 100_000) {
      let piece = body[start..<min(start + 100_000, body.count)]
      client.send("\(String(piece.count, radix: 16))\r\n")
      client.send(Array(piece) + [13, 10])
    }
    client.send("0\r\n\r\n")
    #expect(client.receive()?.body == body)
    #expect(running.stop() == true)
  }

  @Test("HEAD is answered without the body")
  func head() throws {
    let running = try RunningServer(handler: ClosureHandler.echo)
    let client = Client(port: running.port)
    client.send("HEAD /x HTTP/1.1\r\nHost: h\r\n\r\n" + Self.get("/y"))
    #expect(client.receive(isHead: true)?.head.contains("Content-Length: 2\r\n") == true)
    #expect(client.receive()?.text == "/y")
    #expect(running.stop() == true)
  }
}
