import HTTP1
import HTTPServer
import Testing

@Suite("Server: start and drain", .serialized)
struct LifecycleTests {
  private static func get(_ target: String) -> String { "GET \(target) HTTP/1.1\r\nHost: h\r\n\r\n" }

  @Test("Draining closes idle connections, and finishes and answers the requests in flight", arguments: [1, 3])
  func drain(loops: Int) throws {
    let inbox = Inbox()
    let running = try RunningServer({ $0.loops = loops }, handler: inbox.handler)
    let idle = Client(port: running.port)
    idle.send(Self.get("/now"))
    #expect(idle.receive()?.closes == false)
    let busy = Client(port: running.port)
    busy.send(Self.get("/held"))
    let held = inbox.take(1)

    running.server.drain()
    #expect(idle.isAtEnd())
    let probe = Client(port: running.port)
    probe.send(Self.get("/now"))
    let seen = probe.receive()
    #expect(seen?.text == "now")
    #expect(seen?.closes == true)
    #expect(running.ended(within: 0.1) == nil)

    held.first?.reply.send(Response(status: 200, body: Array("done".utf8)))
    let answer = busy.receive()
    #expect(answer?.text == "done")
    #expect(answer?.closes == true)
    busy.disconnect()
    probe.disconnect()
    #expect(running.ended() == true)
    #expect(running.server.statistics.connectionsOpen == 0)
  }

  @Test("A connection in the middle of a head does not delay the drain", arguments: [1, 3])
  func drainWithinHead(loops: Int) throws {
    let running = try RunningServer(
      {
        $0.headTimeout = 60
        $0.loops = loops
      }, handler: ClosureHandler.echo)
    let parts = ["G", "GET /", "GET / HTTP/1.1\r\nHost: h\r\nX:", "\r\n", ""].map { part in
      let client = Client(port: running.port)
      client.send(part)
      return client
    }
    let kept = Client(port: running.port)
    kept.send(Self.get("/first"))
    #expect(kept.receive()?.text == "/first")
    kept.send("GET /second")
    // After the round trip of another client, the loop has read what these sent.
    let other = Client(port: running.port)
    other.send(Self.get("/other"))
    #expect(other.receive()?.text == "/other")

    running.server.drain()
    #expect(running.ended(within: 2) == true)
    for client in parts + [kept] { #expect(client.receive() == nil) }
  }

  @Test("Draining waits for the body of a request whose head is whole", arguments: [1, 3])
  func drainWithinBody(loops: Int) throws {
    let running = try RunningServer({ $0.loops = loops }, handler: ClosureHandler.echo)
    let client = Client(port: running.port)
    client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\nabc")
    let other = Client(port: running.port)
    other.send(Self.get("/other"))
    #expect(other.receive()?.text == "/other")
    running.server.drain()
    #expect(running.ended(within: 0.3) == nil)
    client.send("def")
    let answer = client.receive()
    #expect(answer?.text == "abcdef")
    #expect(answer?.closes == true)
    client.disconnect()
    #expect(running.ended() == true)
  }

  @Test("The drain timeout ends requests that take too long", arguments: [1, 3])
  func drainTimeout(loops: Int) throws {
    let inbox = Inbox()
    let running = try RunningServer(
      {
        $0.drainTimeout = 0.2
        $0.loops = loops
      }, handler: inbox.handler)
    let client = Client(port: running.port)
    client.send(Self.get("/held"))
    let held = inbox.take(1)
    running.server.drain()
    #expect(running.ended() == false)
    #expect(held.first?.reply.isAbandoned == true)
    #expect(client.receive() == nil)
  }

  @Test("A server that is drained before it runs returns at once", arguments: [1, 3])
  func drainFirst(loops: Int) throws {
    var configuration = ServerConfiguration(host: "localhost", port: 0)
    configuration.loops = loops
    let server = try HTTPServer(configuration: configuration, handler: ClosureHandler.echo)
    #expect(server.port > 0)
    server.drain()
    #expect(try server.run())
  }

  @Test("The error names an address that cannot be listened on")
  func badAddress() throws {
    let running = try RunningServer(handler: ClosureHandler.echo)
    for (host, port) in [("127.0.0.1", running.port), ("127.0.0.1", 70_000), ("300.0.0.1", 0), ("192.0.2.1", 0)] {
      let error = #expect(throws: ServerError.self) {
        _ = try HTTPServer(
          configuration: ServerConfiguration(host: host, port: port), handler: ClosureHandler.echo)
      }
      #expect(error?.operation == "listen on \(host):\(port)")
      #expect(error?.message.isEmpty == false)
    }
    #expect(running.stop() == true)
  }
}
