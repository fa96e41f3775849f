import HTTP1
import HTTPServer
import Platform
import Testing

/// Handshakes that are not finished, and files that are replaced. The client is a plain socket: what TLS itself does is tested
/// with OpenSSL's clients (Tests/clients/test_tls.py).
@Suite("Server: TLS")
struct TLSTests {
  static let folder = #filePath.split(separator: "/").dropLast().reduce("") { "\($0)/\($1)" } + "/Fixtures"
  static let files = TLSFiles(chain: "\(folder)/certificate.pem", key: "\(folder)/key.pem")

  /// The beginning of a ClientHello: a handshake record whose end never comes.
  private static let hello: [UInt8] = [0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03]

  private func server(_ configure: (inout ServerConfiguration) -> Void) throws -> RunningServer {
    try RunningServer(configure, handler: ClosureHandler.echo, identity: try TLSIdentity(Self.files))
  }

  @Test("A handshake that is not finished in time is given up", arguments: [[], hello])
  func deadline(_ sent: [UInt8]) throws {
    let running = try server { $0.handshakeTimeout = 0.3 }
    let client = Client(port: running.port)
    client.send(sent)
    let began = SystemClock.monotonic
    #expect(client.receive() == nil)
    let seconds = Double(SystemClock.monotonic - began) / 1e9
    #expect((0.2..<5).contains(seconds))
    #expect(running.server.statistics.handshakesFailed == 1)
    #expect(running.server.statistics.handshakesOpen == 0)
    #expect(running.server.statistics.connectionsOpen == 0)
    #expect(running.stop() == true)
  }

  @Test("Beyond the limit of handshakes under way, the oldest makes room")
  func limit() throws {
    let running = try server { $0.maxHandshakes = 3 }
    let clients = (0..<8).map { _ in
      let client = Client(port: running.port)
      client.send(Self.hello)
      return client
    }
    // The first five have been closed; the others are still waited for.
    for client in clients.prefix(5) { #expect(client.receive() == nil) }
    withExtendedLifetime(clients) {
      #expect(running.server.statistics.handshakesOpen == 3)
      #expect(running.server.statistics.handshakesFailed == 5)
    }
    #expect(running.stop() == true)
  }

  @Test("The limit of handshakes under way is shared out among the loops")
  func limitOfLoops() throws {
    let running = try server {
      $0.loops = 3
      $0.maxHandshakes = 4
    }
    let clients = (0..<12).map { _ in
      let client = Client(port: running.port)
      client.send(Self.hello)
      return client
    }
    #expect(wait { running.server.statistics.handshakesFailed == 8 })
    withExtendedLifetime(clients) { #expect(running.server.statistics.handshakesOpen == 4) }
    #expect(running.stop() == true)
  }

  @Test("A handshake under way does not hold up the end")
  func drain() throws {
    let running = try server { _ in }
    let client = Client(port: running.port)
    client.send(Self.hello)
    while running.server.statistics.handshakesOpen < 1 { usleep(1000) }
    let began = SystemClock.monotonic
    #expect(running.stop() == true)
    #expect(Double(SystemClock.monotonic - began) / 1e9 < 2)
  }

  @Test(
    "Plain HTTP is answered in plain, byte by byte as well",
    arguments: ["GET / HTTP/1.1\r\n\r\n", "DELETE /x", "patch"])
  func plain(_ text: String) throws {
    let running = try server { _ in }
    let client = Client(port: running.port)
    for byte in text.utf8 { guard client.send([byte]) else { break } }
    let answer = try #require(client.receive())
    #expect(answer.status == 400 && answer.closes && answer.text.contains("https://"))
    #expect(running.server.statistics.handshakesFailed == 1)
    #expect(running.stop() == true)
  }

  @Test("Files that have not changed are not used anew, and a failure that lasts is reported once")
  func reload() throws {
    let identity = try TLSIdentity(Self.files)
    #expect(try !identity.reload())
    #expect(identity.expiry > SystemClock.unixSeconds)
    let missing = TLSFiles(chain: "\(Self.folder)/none.pem", key: "\(Self.folder)/key.pem")
    let error = #expect(throws: ServerError.self) { try TLSIdentity(missing) }
    #expect(error?.operation == "read \(Self.folder)/none.pem" && error?.code == ENOENT)
    let swapped = TLSFiles(chain: "\(Self.folder)/key.pem", key: "\(Self.folder)/certificate.pem")
    #expect(throws: ServerError.self) { try TLSIdentity(swapped) }
  }
}
