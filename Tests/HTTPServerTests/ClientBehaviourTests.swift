import HTTP1
import HTTPServer
import Testing

@Suite("Server: clients of all kinds", .serialized)
struct ClientBehaviourTests {
  private static func get(_ target: String, _ lines: String = "") -> String {
    "GET \(target) HTTP/1.1\r\nHost: h\r\n\(lines)\r\n"
  }

  @Test("The server survives a thousand connections that end in different ways")
  func churn() throws {
    let running = try RunningServer(handler: ClosureHandler.echo)
    for number in 0..<1000 {
      let client = Client(port: running.port)
      // A connection ends in one of four ways: announced, in the middle of a head, by a reset, or without a request.
      switch number % 4 {
      case 0:
        client.send(Self.get("/\(number)", "Connection: close\r\n"))
        #expect(client.receive()?.text == "/\(number)")
        #expect(client.isAtEnd())
      case 1: client.send("GET / HT")
      case 2:
        client.send(Self.get("/"))
        client.reset()
      default: break
      }
      client.disconnect()
    }
    let client = Client(port: running.port)
    client.send(Self.get("/after"))
    #expect(client.receive()?.text == "/after")
    client.disconnect()
    #expect(wait { running.server.statistics.connectionsOpen == 0 })
    #expect(running.server.statistics.connectionsAccepted == 1001)
    #expect(running.stop() == true)
  }

  @Test("A slow reader gets all of a long answer and does not delay others")
  func slowReader() throws {
    let long = [UInt8](repeating: 120, count: 8 << 20)
    let running = try RunningServer(
      handler: ClosureHandler { request, reply in
        reply.send(Response(status: 200, body: request.head.path == "/long" ? long : Array("short".utf8)))
      })
    let slow = Client(port: running.port, receiveBuffer: 4096)
    slow.send(Self.get("/long"))
    let quick = Client(port: running.port)
    for _ in 0..<50 {
      quick.send(Self.get("/short"))
      #expect(quick.receive()?.text == "short")
    }
    #expect(running.server.statistics.bytesSent < long.count)
    #expect(slow.receive()?.body == long)
    slow.send(Self.get("/short"))
    #expect(slow.receive()?.text == "short")
    #expect(running.stop() == true)
  }

  @Test("A client that ends its side still gets the answer, and its request does not count as abandoned")
  func halfClose() throws {
    let inbox = Inbox()
    let running = try RunningServer(handler: inbox.handler)
    let client = Client(port: running.port)
    client.send(Self.get("/held"))
    client.finishSending()
    let held = inbox.take(1)
    // After the round trip of another client, the loop has seen that this one ended its side.
    let other = Client(port: running.port)
    other.send(Self.get("/now"))
    #expect(other.receive()?.text == "now")
    #expect(held.first?.reply.isAbandoned == false)
    held.first?.reply.send(Response(status: 200, body: Array("late".utf8)))
    let answer = client.receive()
    #expect(answer?.text == "late")
    #expect(answer?.closes == true)
    #expect(client.isAtEnd())
    #expect(running.stop() == true)
  }

  @Test("A reset marks the request as abandoned, and its answer is not sent to anybody")
  func reset() throws {
    let inbox = Inbox()
    let running = try RunningServer(handler: inbox.handler)
    let client = Client(port: running.port)
    client.send(Self.get("/held"))
    let held = inbox.take(1)
    #expect(held.first?.reply.isAbandoned == false)
    client.reset()
    #expect(wait { held.first?.reply.isAbandoned == true })
    // The next connection reuses the slot of the one that was reset, and must not get its late answer.
    let next = Client(port: running.port)
    next.send(Self.get("/now"))
    held.first?.reply.send(Response(status: 200, body: Array("stray".utf8)))
    #expect(next.receive()?.text == "now")
    next.send(Self.get("/now"))
    #expect(next.receive()?.text == "now")
    #expect(running.stop() == true)
  }

  @Test("A client that goes on sending a refused body can read the reason")
  func refusedBody() throws {
    var handler = ClosureHandler.echo
    handler.maxBodyBytes = 1000
    let running = try RunningServer(handler: handler)
    for length in ["Content-Length: 20000000\r\n", "Transfer-Encoding: chunked\r\n"] {
      let client = Client(port: running.port)
      client.send("POST / HTTP/1.1\r\nHost: h\r\n\(length)\r\n1312D00\r\n")
      #expect(client.send([UInt8](repeating: 65, count: 20_000_000)))
      let answer = client.receive()
      #expect(answer?.status == 413)
      #expect(answer?.text == "the body is longer than 1000 bytes")
      #expect(answer?.closes == true)
      #expect(client.isAtEnd())
    }
    #expect(running.stop() == true)
  }

  @Test("In real time, a slow head is answered with 408 and an idle connection is closed")
  func timeouts() throws {
    let running = try RunningServer(
      {
        $0.headTimeout = 0.2
        $0.idleTimeout = 0.3
      }, handler: ClosureHandler.echo)
    let slow = Client(port: running.port)
    slow.send("GET / HTTP/1.1\r\nHost:")
    let silent = Client(port: running.port)
    #expect(slow.receive()?.status == 408)
    #expect(slow.isAtEnd())
    #expect(silent.isAtEnd())
    slow.disconnect()
    #expect(running.stop() == true)
  }

  @Test("In real time, the idle timeout counts until the first byte of a request")
  func opensEarly() throws {
    let running = try RunningServer(
      {
        $0.headTimeout = 0.1
        $0.idleTimeout = 8
      }, handler: ClosureHandler.echo)
    let early = Client(port: running.port)
    let blank = Client(port: running.port)
    blank.send("\r\n")
    pause(milliseconds: 500)
    early.send(Self.get("/early"))
    #expect(early.receive()?.text == "/early")
    blank.send("\r\n" + Self.get("/blank"))
    #expect(blank.receive()?.text == "/blank")
    // The same holds between two requests.
    pause(milliseconds: 500)
    early.send("G")
    #expect(early.receive()?.status == 408)
    early.disconnect()
    blank.disconnect()
    #expect(running.stop() == true)
  }

  @Test("Bytes that a URI cannot contain reach the handler percent-encoded")
  func rawTarget() throws {
    let running = try RunningServer(handler: ClosureHandler.echo)
    let client = Client(port: running.port)
    client.send(Self.get(#"/a|b"^{c}`<\d>é?q=["日"]"#))
    #expect(client.receive()?.text == "/a%7Cb%22%5E%7Bc%7D%60%3C%5Cd%3E%C3%A9?q=[%22%E6%97%A5%22]")
    #expect(running.stop() == true)
  }

  @Test("OPTIONS * reaches the handler as a request about the whole server")
  func asterisk() throws {
    let running = try RunningServer(
      handler: ClosureHandler { request, reply in
        reply.send(Response(status: request.head.isForWholeServer ? 204 : 404))
      })
    let client = Client(port: running.port)
    client.send("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n" + Self.get("/*"))
    #expect(client.receive()?.status == 204)
    #expect(client.receive()?.status == 404)
    // HAProxy sends this with `option httpchk OPTIONS *`.
    client.send("OPTIONS * HTTP/1.0\r\n\r\n")
    #expect(client.receive()?.status == 204)
    #expect(running.stop() == true)
  }

  @Test("Connections beyond the limit are answered with 503 until another one ends")
  func fullHouse() throws {
    let running = try RunningServer({ $0.maxConnections = 2 }, handler: ClosureHandler.echo)
    let guests = (0..<2).map { _ in Client(port: running.port) }
    for guest in guests {
      guest.send(Self.get("/in"))
      #expect(guest.receive()?.text == "/in")
    }
    let refused = Client(port: running.port)
    let answer = refused.receive()
    #expect(answer?.status == 503)
    #expect(answer?.head.contains("\r\nRetry-After: 1\r\n") == true)
    #expect(refused.isAtEnd())
    refused.disconnect()
    guests[0].disconnect()
    #expect(wait { running.server.statistics.connectionsOpen == 1 })
    let next = Client(port: running.port)
    next.send(Self.get("/next"))
    #expect(next.receive()?.text == "/next")
    guests[1].send(Self.get("/still"))
    #expect(guests[1].receive()?.text == "/still")
    #expect(running.server.statistics.connectionsRejected == 1)
    #expect(running.stop() == true)
  }
}
