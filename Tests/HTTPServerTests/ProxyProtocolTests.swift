import HTTP1
import HTTPServer
import Platform
import Testing

/// Headers of the PROXY protocol at real sockets. The client is a plain socket; HAProxy as the sender, and TLS behind a header, are in
/// Tests/clients/test_proxy_protocol.py.
@Suite("Server: PROXY protocol")
struct ProxyProtocolTests {
  private static let line = Array("PROXY TCP4 192.0.2.7 10.0.0.1 56324 443\r\n".utf8)
  private static let binary: [UInt8] =
    [13, 10, 13, 10, 0, 13, 10, 0x51, 0x55, 0x49, 0x54, 10, 0x21, 0x21, 0, 36]
    + [0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1] + [UInt8](repeating: 0, count: 15) + [
      1, 0x10, 0, 0, 80,
    ]
  private static let get = Array("GET / HTTP/1.1\r\nHost: h\r\n\r\n".utf8)

  private func server(_ configure: (inout ServerConfiguration) -> Void = { _ in }) throws -> RunningServer {
    let handler = ClosureHandler { request, reply in
      reply.send(Response(status: 200, body: Array("\(request.peer.address) \(request.peer.port)".utf8)))
    }
    return try RunningServer(
      {
        $0.proxyProtocol = true
        configure(&$0)
      }, handler: handler)
  }

  @Test(
    "The header says whose the requests of its connection are",
    arguments: [(line, "192.0.2.7 56324"), (binary, "2001:db8::1 4096")])
  func address(_ header: [UInt8], _ expected: String) throws {
    let running = try server()
    let client = Client(port: running.port)
    client.send(header + Self.get + Self.get)
    #expect(client.receive()?.text == expected)
    #expect(client.receive()?.text == expected)
    client.send(Self.get)
    #expect(client.receive()?.text == expected)
    #expect(running.server.statistics.proxyHeadersRejected == 0)
    #expect(running.stop() == true)
  }

  @Test("It may be split anywhere", arguments: [line, binary])
  func splits(_ header: [UInt8]) throws {
    let running = try server()
    let bytes = header + Self.get
    for place in 1..<bytes.count {
      let client = Client(port: running.port)
      client.send(Array(bytes[..<place]))
      // The first part is taken before the second comes, in most of the cases.
      pause(milliseconds: 1)
      client.send(Array(bytes[place...]))
      #expect(client.receive()?.status == 200, "split at \(place)")
    }
    let client = Client(port: running.port)
    for byte in bytes { client.send([byte]) }
    #expect(client.receive()?.status == 200)
    #expect(running.stop() == true)
  }

  @Test(
    "Without it a connection is closed without an answer, and counted",
    arguments: [
      "GET / HTTP/1.1\r\nHost: h\r\n\r\n", "PROXY TCP4 x y 1 2\r\n", "PROXY UNKNOWN\n", "\r\n\r\nx",
      "\u{16}\u{3}\u{1}\u{2}",
    ])
  func refused(_ text: String) throws {
    let running = try server()
    let client = Client(port: running.port)
    client.send(text)
    #expect(client.receive() == nil)
    #expect(wait { running.server.statistics.connectionsOpen == 0 })
    #expect(running.server.statistics.proxyHeadersRejected == 1)
    #expect(running.server.statistics.bytesSent == 0)
    #expect(running.server.statistics.requests == 0)
    #expect(running.stop() == true)
  }

  @Test("A header that is cut off is counted; a connection that says nothing is not")
  func ends() throws {
    let running = try server()
    let cut = Client(port: running.port)
    cut.send(Array(Self.binary.prefix(20)))
    cut.finishSending()
    #expect(cut.isAtEnd())
    let silent = Client(port: running.port)
    silent.finishSending()
    #expect(silent.isAtEnd())
    #expect(wait { running.server.statistics.connectionsOpen == 0 })
    #expect(running.server.statistics.proxyHeadersRejected == 1)
    #expect(running.stop() == true)
  }

  @Test("It has to come within the time of a head", arguments: [0, 1, 20])
  func deadline(_ sent: Int) throws {
    let running = try server { $0.headTimeout = 0.3 }
    let client = Client(port: running.port)
    client.send(Array(Self.binary.prefix(sent)))
    let began = SystemClock.monotonic
    #expect(client.isAtEnd())
    #expect((0.2..<5).contains(Double(SystemClock.monotonic - began) / 1e9))
    #expect(wait { running.server.statistics.proxyHeadersRejected == 1 })
    #expect(running.stop() == true)
  }

  @Test("A connection beyond the limit is told so behind its header")
  func limit() throws {
    let running = try server { $0.maxConnections = 1 }
    let first = Client(port: running.port)
    first.send(Self.line + Self.get)
    #expect(first.receive()?.status == 200)
    let second = Client(port: running.port)
    second.send(Self.line + Self.get)
    let answer = second.receive()
    #expect(answer?.status == 503 && answer?.closes == true)
    let third = Client(port: running.port)
    third.send(Self.get)
    #expect(third.receive() == nil)
    #expect(running.server.statistics.proxyHeadersRejected == 1)
    #expect(running.stop() == true)
  }

  @Test("One that has not come does not hold up the end")
  func drain() throws {
    let running = try server()
    let client = Client(port: running.port)
    client.send(Array(Self.line.prefix(10)))
    wait { running.server.statistics.connectionsOpen == 1 }
    let began = SystemClock.monotonic
    #expect(running.stop() == true)
    #expect(Double(SystemClock.monotonic - began) / 1e9 < 2)
  }
}
