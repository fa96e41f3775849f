import Dispatch
import HTTP1
import HTTPServer
import Platform
import Synchronization
import Testing

/// What happens when bodies take more memory than they may.
@Suite("Server: memory of bodies")
struct BodyMemoryTests {
  private static func head(_ length: Int, _ target: String = "/held") -> String {
    "POST \(target) HTTP/1.1\r\nHost: h\r\nContent-Length: \(length)\r\n\r\n"
  }

  private static func bytes(_ count: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7) } }

  /// Answers with the length of the body.
  private static let counting = ClosureHandler { request, reply in
    reply.send(Response(status: 200, body: Array("\(request.body.count)".utf8)))
  }

  @Test("A body that could never be held is refused by its length")
  func tooLong() throws {
    let running = try RunningServer({ $0.maxMemoryInFlight = 1 << 20 }, handler: Self.counting)
    let client = Client(port: running.port)
    client.send(Self.head(1 << 20) + String(repeating: "x", count: 1 << 20))
    #expect(client.receive()?.text == "1048576")
    client.send(Self.head(1 << 20 + 1))
    #expect(client.receive()?.status == 413)
    #expect(running.stop() == true)
  }

  @Test("While others hold all of it, a body is not read on, and that time does not count against its client")
  func heldBack() throws {
    let inbox = Inbox()
    let running = try RunningServer(
      {
        $0.maxMemoryInFlight = 1 << 20
        $0.bodyTimeout = 0.4
      }, handler: inbox.handler)
    let first = Client(port: running.port)
    first.send(Self.head(1 << 20))
    first.send(Self.bytes(1 << 20))
    let held = inbox.take(1)
    #expect(running.server.statistics.bodyBytes == 1 << 20)

    let second = Client(port: running.port)
    second.send(Self.head(400_000, "/now"))
    second.send(Self.bytes(300_000))
    #expect(wait { running.server.statistics.connectionsHeldBack == 1 })
    // Others with small bodies are served meanwhile.
    let small = Client(port: running.port)
    small.send(Self.head(60_000, "/now"))
    small.send(Self.bytes(60_000))
    #expect(small.receive()?.text == "now")
    pause(milliseconds: 1000)
    #expect(running.server.statistics.connectionsHeldBack == 1)
    #expect(running.server.statistics.failures == 0)
    #expect((1 << 20 + 65_536..<1 << 20 + 400_000).contains(running.server.statistics.bodyBytes))

    held.first?.reply.send(Response(status: 200))
    #expect(first.receive()?.status == 200)
    #expect(wait { running.server.statistics.connectionsHeldBack == 0 })
    second.send(Self.bytes(100_000))
    #expect(second.receive()?.text == "now")
    #expect(wait { running.server.statistics.bodyBytes == 0 })
    #expect(running.stop() == true)
  }

  @Test("From then on its client's time counts again")
  func counts() throws {
    let inbox = Inbox()
    let running = try RunningServer(
      {
        $0.maxMemoryInFlight = 1 << 20
        $0.bodyTimeout = 0.4
      }, handler: inbox.handler)
    let first = Client(port: running.port)
    first.send(Self.head(1 << 20))
    first.send(Self.bytes(1 << 20))
    let held = inbox.take(1)
    let second = Client(port: running.port)
    second.send(Self.head(400_000, "/now"))
    second.send(Self.bytes(300_000))
    #expect(wait { running.server.statistics.connectionsHeldBack == 1 })
    held.first?.reply.send(Response(status: 200))
    #expect(second.receive()?.status == 408)
    #expect(running.stop() == true)
  }

  @Test("Where all of it is held by bodies that are not whole, they are read to their ends one after another")
  func leader() throws {
    let running = try RunningServer({ $0.maxMemoryInFlight = 1 << 20 }, handler: Self.counting)
    let clients = (0..<12).map { _ in Client(port: running.port) }
    for client in clients {
      client.send(Self.head(1_000_000))
      client.send(Self.bytes(150_000))
    }
    #expect(wait { running.server.statistics.connectionsHeldBack > 0 })
    let most = Atomic(0)
    // The rest of each is more than the kernel takes, so that each client waits until it is its turn.
    for client in clients {
      let sender = Box(client)
      DispatchQueue(label: "client").async { sender.value.send(Self.bytes(850_000)) }
    }
    for client in clients {
      #expect(client.receive()?.text == "1000000")
      most.max(running.server.statistics.bodyBytes, ordering: .relaxed)
    }
    // One body more than the limit, and what each has had before reading stopped.
    #expect(most.load(ordering: .relaxed) <= 1 << 20 + 1_000_000 + 12 * (65_536 + 262_144))
    #expect(wait { running.server.statistics.bodyBytes == 0 })
    #expect(running.server.statistics.connectionsHeldBack == 0)
    #expect(running.stop() == true)
  }

  @Test("What a client that goes away has held is free, and the next goes on")
  func goesAway() throws {
    let running = try RunningServer({ $0.maxMemoryInFlight = 1 << 20 }, handler: Self.counting)
    let clients = (0..<4).map { _ in Client(port: running.port) }
    for client in clients {
      client.send(Self.head(1 << 20))
      client.send(Self.bytes(500_000))
    }
    #expect(wait { running.server.statistics.connectionsHeldBack > 0 })
    for client in clients.dropLast() { client.reset() }
    clients[3].send(Self.bytes(1 << 20 - 500_000))
    #expect(clients[3].receive()?.text == "1048576")
    #expect(wait { running.server.statistics.bodyBytes == 0 })
    #expect(running.stop() == true)
  }

  @Test("Answers that wait to be sent are counted until their clients have taken them")
  func answers() throws {
    let running = try RunningServer(
      handler: ClosureHandler { _, reply in reply.send(Response(status: 200, body: Self.bytes(20_000_000))) })
    let client = Client(port: running.port, receiveBuffer: 4096)
    client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    #expect(wait { running.server.statistics.bodyBytes == 20_000_000 })
    #expect(client.receive()?.body.count == 20_000_000)
    #expect(wait { running.server.statistics.bodyBytes == 0 })
    let gone = Client(port: running.port, receiveBuffer: 4096)
    gone.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    #expect(wait { running.server.statistics.bodyBytes == 20_000_000 })
    gone.reset()
    #expect(wait { running.server.statistics.bodyBytes == 0 })
    #expect(running.stop() == true)
  }

  @Test("Memory that a handler says it holds is counted until it has answered")
  func said() throws {
    let replies = Mutex<[any ReplyChannel]>([])
    let running = try RunningServer(
      handler: ClosureHandler { _, reply in
        reply.holds(1000)
        reply.holds(500)
        replies.withLock { $0.append(reply) }
      })
    let client = Client(port: running.port)
    client.send(Self.head(10))
    client.send(Self.bytes(10))
    #expect(wait { running.server.statistics.bodyBytes == 1510 })
    replies.withLock { $0.first }?.send(Response(status: 200))
    #expect(running.server.statistics.bodyBytes == 0)
    #expect(client.receive()?.status == 200)
    #expect(running.stop() == true)
  }
}
