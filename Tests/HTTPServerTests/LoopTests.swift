import Dispatch
import HTTP1
import HTTPServer
import Synchronization
import Testing

@Suite("Server: several event loops", .serialized)
struct LoopTests {
  private static func get(_ target: String) -> String { "GET \(target) HTTP/1.1\r\nHost: h\r\n\r\n" }

  /// Answers with the number of the loop that has read the request.
  private static let whichLoop = ClosureHandler { request, reply in
    reply.send(Response(status: 200, body: Array("\(request.loop)".utf8)))
  }

  private static func loop(of client: Client) -> Int? {
    client.send(get("/"))
    return client.receive().flatMap { Int($0.text) }
  }

  @Test("A connection goes to the loop with the fewest, and stays there")
  func placement() throws {
    let running = try RunningServer({ $0.loops = 3 }, handler: Self.whichLoop)
    let clients = (0..<9).map { _ in Client(port: running.port) }
    let loops = clients.map(Self.loop)
    #expect(loops == [0, 1, 2, 0, 1, 2, 0, 1, 2])
    #expect(clients.map(Self.loop) == loops)
    for (client, loop) in zip(clients, loops) where loop == 1 { client.disconnect() }
    #expect(wait { running.server.statistics.connectionsOpen == 6 })
    let later = (0..<4).map { _ in Client(port: running.port) }
    #expect(later.map(Self.loop) == [1, 1, 1, 2])
    withExtendedLifetime((clients, later)) { #expect(running.stop() == true) }
    #expect(running.server.statistics.connectionsAccepted == 13)
    #expect(running.server.statistics.connectionsOpen == 0)
    #expect(running.server.statistics.requests == 22)
  }

  @Test("Many clients at once are answered, each with its own answer, and all are counted", arguments: [1, 3])
  func exchanges(loops: Int) throws {
    // Half of the answers come from other threads.
    let workers = (0..<2).map { DispatchQueue(label: "worker \($0)") }
    let handler = ClosureHandler { request, reply in
      let answer = Response(status: 200, body: Array(request.head.target.utf8))
      guard request.head.target.utf8.count % 2 == 0 else { return reply.send(answer) }
      workers[request.loop % 2].async { reply.send(answer) }
    }
    let running = try RunningServer({ $0.loops = loops }, handler: handler)
    let wrong = Box(Atomic(0))
    DispatchQueue.concurrentPerform(iterations: 8) { thread in
      for round in 0..<10 {
        let client = Client(port: running.port)
        for number in 0..<20 {
          let target = "/\(thread)/\(round)/\(number)"
          client.send(Self.get(target))
          if client.receive()?.text != target { wrong.value.add(1, ordering: .relaxed) }
        }
      }
    }
    #expect(wrong.value.load(ordering: .relaxed) == 0)
    #expect(running.stop() == true)
    #expect(running.server.statistics.requests == 1600)
    #expect(running.server.statistics.connectionsAccepted == 80)
    #expect(running.server.statistics.connectionsRejected == 0)
    #expect(running.server.statistics.connectionsOpen == 0)
  }

  @Test("The limit on connections holds for all loops together", arguments: [1, 3])
  func connectionLimit(loops: Int) throws {
    let running = try RunningServer(
      {
        $0.loops = loops
        $0.maxConnections = 4
      }, handler: Self.whichLoop)
    let clients = (0..<4).map { _ in Client(port: running.port) }
    #expect(clients.map(Self.loop) == (0..<4).map { $0 % loops })
    let refused = Client(port: running.port)
    let answer = refused.receive()
    #expect(answer?.status == 503)
    #expect(answer?.text == "more than 4 connections")
    #expect(answer?.closes == true)
    refused.disconnect()
    clients[1].disconnect()
    #expect(wait { running.server.statistics.connectionsOpen == 3 })
    let next = Client(port: running.port)
    #expect(Self.loop(of: next) == 1 % loops)
    #expect(running.server.statistics.connectionsRejected == 1)
    withExtendedLifetime((clients, next)) { #expect(running.stop() == true) }
  }

  @Test("endOfPass is called for the loop that has read the requests, on its own")
  func endOfPass() throws {
    let held = Box(Mutex<[[any ReplyChannel]]>([[], [], []]))
    var handler = ClosureHandler { request, reply in held.value.withLock { $0[request.loop].append(reply) } }
    handler.passes = { loop in
      let replies = held.value.withLock { held in
        defer { held[loop] = [] }
        return held[loop]
      }
      for reply in replies { reply.send(Response(status: 202, body: Array("\(loop)".utf8))) }
    }
    let running = try RunningServer({ $0.loops = 3 }, handler: handler)
    let clients = (0..<6).map { _ in Client(port: running.port) }
    for _ in 0..<50 {
      for client in clients { client.send(Self.get("/")) }
      let answers = clients.map { $0.receive() }
      #expect(answers.map { $0?.status } == [Int?](repeating: 202, count: 6))
      #expect(answers.map { $0?.text } == ["0", "1", "2", "0", "1", "2"])
    }
    #expect(running.stop() == true)
  }

  @Test("The drain waits for the requests of every loop, and probes are answered until the last is finished")
  func drain() throws {
    let inbox = Inbox()
    let running = try RunningServer({ $0.loops = 3 }, handler: inbox.handler)
    let busy = (0..<6).map { _ in Client(port: running.port) }
    for (number, client) in busy.enumerated() { client.send(Self.get("/\(number)")) }
    let held = inbox.take(6)
    // These have had no request yet: they may be probes that are to see the end, in whichever loop they are.
    let early = (0..<3).map { _ in Client(port: running.port) }
    let idle = Client(port: running.port)
    idle.send(Self.get("/now"))
    #expect(idle.receive()?.closes == false)
    #expect(running.server.statistics.connectionsOpen == 10)
    running.server.drain()
    #expect(idle.isAtEnd())
    let late = Client(port: running.port)
    late.send(Self.get("/now"))
    #expect(late.receive()?.closes == true)

    for (place, item) in held.enumerated() {
      #expect(running.ended(within: 0.05) == nil)
      if place == 5 {
        for client in early {
          client.send(Self.get("/now"))
          let answer = client.receive()
          #expect(answer?.text == "now")
          #expect(answer?.closes == true)
        }
      }
      item.reply.send(Response(status: 200, body: Array(item.target.utf8)))
    }
    for (number, client) in busy.enumerated() {
      let answer = client.receive()
      #expect(answer?.text == "/\(number)")
      #expect(answer?.closes == true)
      client.disconnect()
    }
    for client in early + [late] { client.disconnect() }
    #expect(running.ended() == true)
    #expect(running.server.statistics.connectionsOpen == 0)
  }

  @Test("Requests that were sent before the drain are answered, accepted or not", arguments: [1, 3])
  func drainOfWaitingConnections(loops: Int) throws {
    for round in 0..<20 {
      let running = try RunningServer({ $0.loops = loops }, handler: ClosureHandler.echo)
      let clients = (0..<40).map { number in
        let client = Client(port: running.port)
        client.send(Self.get("/\(number)"))
        return client
      }
      running.server.drain()
      for (number, client) in clients.enumerated() {
        #expect(client.receive()?.text == "/\(number)", "round \(round)")
        client.disconnect()
      }
      #expect(running.ended() == true)
      #expect(running.server.statistics.requests == 40)
      #expect(running.server.statistics.connectionsOpen == 0)
    }
  }

  @Test("A drain timeout in one loop is told, and the connections of all are closed")
  func drainTimeout() throws {
    let inbox = Inbox()
    let running = try RunningServer(
      {
        $0.loops = 3
        $0.drainTimeout = 0.3
      }, handler: inbox.handler)
    let clients = (0..<3).map { _ in Client(port: running.port) }
    clients[0].send(Self.get("/now"))
    #expect(clients[0].receive()?.text == "now")
    clients[1].send(Self.get("/held"))
    let held = inbox.take(1)
    running.server.drain()
    #expect(running.ended() == false)
    #expect(held.first?.reply.isAbandoned == true)
    for client in clients { #expect(client.isAtEnd()) }
    #expect(running.server.statistics.connectionsOpen == 0)
  }
}
