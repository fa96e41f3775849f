import Dispatch
import HTTP1
import HTTPServer
import Synchronization
import Testing

@Suite("Server: transports", .serialized)
struct TransportTests {
  private static func get(_ target: String, _ lines: String = "") -> String {
    "GET \(target) HTTP/1.1\r\nHost: h\r\n\(lines)\r\n"
  }

  /// A server behind record transports, and the log of these.
  private func running(
    piece: Int, greeting: Int = 0, farewell: Int = 0, handler: ClosureHandler = .echo
  ) throws -> (RunningServer, RecordLog) {
    let log = RecordLog()
    let running = try RunningServer(handler: handler) {
      RecordTransport($0, piece: piece, greeting: greeting, farewell: farewell, log: log)
    }
    return (running, log)
  }

  @Test("Exchanges work through records that are passed on in pieces of any size", arguments: [1, 7, 1000, 100_000])
  func exchanges(_ piece: Int) throws {
    let (running, log) = try running(piece: piece)
    let decoder = RecordDecoder()
    let client = Client(port: running.port) { decoder.decode($0) }
    for number in 0..<20 {
      client.send(Record.data(Self.get("/\(number)")) + Record.grants(1))
      #expect(client.receive()?.text == "/\(number)")
    }
    // Both bodies are longer than a record and a piece, and the grants arrive after the request.
    let body = (0..<50_000).map { UInt8(truncatingIfNeeded: $0 &* 2_654_435_761 >> 13) }
    client.send(
      Record.data("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: \(body.count)\r\n\r\n") + Record.data(body)
        + Record.grants(100))
    #expect(client.receive()?.body == body)
    #expect(decoder.acknowledgements == 20 + 1 + 50)
    // Many requests in one record.
    client.send(Record.data((0..<200).map { Self.get("/p\($0)") }.joined()) + Record.grants(400))
    for number in 0..<200 { #expect(client.receive()?.text == "/p\(number)") }
    // The last answer ends the connection.
    client.send(Record.data(Self.get("/last", "Connection: close\r\n")) + Record.grants(1))
    #expect(client.receive()?.closes == true)
    #expect(client.receive() == nil)
    #expect(decoder.hasEnded)
    client.disconnect()
    #expect(running.stop() == true)
    #expect(log.finishWaited.load(ordering: .relaxed) == 0)
    #expect(running.server.statistics.requests == 222)
  }

  @Test("Receiving waits until the pending output is written")
  func writeBeforeRead() throws {
    let (running, log) = try running(piece: 5, greeting: 8 << 20)
    let decoder = RecordDecoder()
    let client = Client(port: running.port, receiveBuffer: 65_536) { decoder.decode($0) }
    client.send(Record.data(Self.get("/a")) + Record.grants(1))
    #expect(wait { log.receiveWaitedForWritable.load(ordering: .relaxed) > 0 })
    client.send(Record.data(Self.get("/b")) + Record.grants(1))
    // Meanwhile the loop has to serve another connection.
    let other = Client(port: running.port) { RecordDecoder().decode($0) }
    pause(milliseconds: 50)
    other.disconnect()
    #expect(running.server.statistics.requests == 0)
    #expect(client.receive()?.text == "/a")
    #expect(client.receive()?.text == "/b")
    #expect(decoder.padding == 8 << 20)
    client.disconnect()
    #expect(running.stop() == true)
  }

  @Test("Sending waits until a grant is read")
  func readBeforeWrite() throws {
    let (running, log) = try running(piece: 5)
    let decoder = RecordDecoder()
    let client = Client(port: running.port) { decoder.decode($0) }
    let long = [UInt8](repeating: 120, count: 5000)
    client.send(Record.data("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5000\r\n\r\n") + Record.data(long))
    #expect(wait { log.sendWaitedForReadable.load(ordering: .relaxed) > 0 })
    #expect(running.server.statistics.bytesSent == 0)
    // One record at a time, and never more than was granted.
    for granted in 1...5 {
      client.send(Record.grants(1))
      #expect(wait { running.server.statistics.bytesSent == granted * Record.most })
    }
    client.send(Record.grants(9))
    #expect(client.receive()?.body == long)
    client.send(Record.data(Self.get("/next")))
    #expect(client.receive()?.text == "/next")
    client.disconnect()
    #expect(running.stop() == true)
  }

  @Test("A request that was read while sending is served although the socket has no more input")
  func heldInput() throws {
    let next = DispatchSemaphore(value: 0)
    let replies = Box(Mutex<[(String, any ReplyChannel)]>([]))
    var handler = ClosureHandler { request, reply in
      replies.value.withLock { $0.append((request.head.target, reply)) }
    }
    // The answer is given after the loop has read all input and the next request has arrived.
    handler.passes = { _ in
      let held = replies.value.withLock { held in
        defer { held = [] }
        return held
      }
      if held.contains(where: { $0.0 == "/first" }) { next.wait() }
      for (target, reply) in held { reply.send(Response(status: 200, body: Array(target.utf8))) }
    }
    let (running, log) = try running(piece: 5, handler: handler)
    let decoder = RecordDecoder()
    let client = Client(port: running.port) { decoder.decode($0) }
    client.send(Record.data(Self.get("/first")))
    pause(milliseconds: 100)
    client.send(Record.data(Self.get("/second")) + Record.grants(2))
    pause(milliseconds: 50)
    next.signal()
    #expect(client.receive()?.text == "/first")
    #expect(client.receive()?.text == "/second")
    #expect(log.sendReadData.load(ordering: .relaxed) > 0)
    client.disconnect()
    #expect(running.stop() == true)
  }

  @Test("Ending the sending side waits until the farewell is written")
  func farewell() throws {
    let (running, log) = try running(piece: 100, farewell: 8 << 20)
    let decoder = RecordDecoder()
    let client = Client(port: running.port, receiveBuffer: 65_536) { decoder.decode($0) }
    client.send(Record.data(Self.get("/a", "Connection: close\r\n")) + Record.grants(1))
    #expect(wait { log.finishWaited.load(ordering: .relaxed) > 0 })
    #expect(client.receive()?.closes == true)
    #expect(client.receive() == nil)
    #expect(decoder.padding == 8 << 20)
    #expect(decoder.hasEnded)
    client.disconnect()
    #expect(running.stop() == true)
  }

  @Test("A streamed body is sent as grants arrive, and draining waits for its end")
  func stream() throws {
    let made = Box(Atomic(0))
    let handler = ClosureHandler { _, reply in
      let body = BodyStream(count: 40_000) { deliver in
        deliver([UInt8](repeating: UInt8(made.value.add(1, ordering: .relaxed).newValue), count: 10_000))
      }
      reply.send(Response(status: 200, stream: body))
    }
    let (running, log) = try running(piece: 100, handler: handler)
    let decoder = RecordDecoder()
    let client = Client(port: running.port) { decoder.decode($0) }
    client.send(Record.data(Self.get("/")) + Record.grants(5))
    #expect(wait { log.sendWaitedForReadable.load(ordering: .relaxed) > 0 })
    #expect(made.value.load(ordering: .relaxed) == 2)
    running.server.drain()
    #expect(running.ended(within: 0.2) == nil)
    client.send(Record.grants(50))
    let body = client.receive()?.body
    #expect(body == (1...4).flatMap { [UInt8](repeating: $0, count: 10_000) })
    client.disconnect()
    #expect(running.ended() == true)
  }

  @Test("A client that ends its side after its requests gets every answer")
  func halfClose() throws {
    let (running, _) = try running(piece: 3)
    let decoder = RecordDecoder()
    let client = Client(port: running.port) { decoder.decode($0) }
    client.send(Record.data(Self.get("/a") + Self.get("/b")) + Record.grants(9))
    client.finishSending()
    #expect(client.receive()?.text == "/a")
    #expect(client.receive()?.text == "/b")
    #expect(client.receive() == nil)
    #expect(running.stop() == true)
  }

  @Test("On a plain transport, a request takes one call to receive and one to send")
  func plainCalls() throws {
    let calls = CountingTransport.Calls()
    let running = try RunningServer(handler: ClosureHandler.echo) { CountingTransport($0, calls) }
    let client = Client(port: running.port)
    for number in 0..<200 {
      client.send(Self.get("/\(number)"))
      #expect(client.receive()?.text == "/\(number)")
    }
    // There is one more call when the connection was accepted before its first request arrived.
    #expect(200...201 ~= calls.receive.load(ordering: .relaxed))
    #expect(calls.send.load(ordering: .relaxed) == 200)
    #expect(running.stop() == true)
  }
}
