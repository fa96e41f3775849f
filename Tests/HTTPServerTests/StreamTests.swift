import Dispatch
import HTTP1
import HTTPServer
import Synchronization
import Testing

@Suite("Server: streamed bodies", .serialized)
struct StreamTests {
  private static let get = "GET /stream HTTP/1.1\r\nHost: h\r\n\r\n"

  /// Makes pieces of one length, each filled with its number. It counts them, and signals its own release.
  private final class Pieces: Sendable {
    static let length = 65_536
    let made = Atomic(0)
    private let released: DispatchSemaphore

    init(_ released: DispatchSemaphore) { self.released = released }

    deinit { released.signal() }

    func next() -> [UInt8] {
      let number = made.add(1, ordering: .relaxed).oldValue
      return [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: Self.length)
    }
  }

  private static func handler(pieces count: Int, _ released: DispatchSemaphore)
    -> ClosureHandler
  {
    ClosureHandler { request, reply in
      guard request.head.path == "/stream" else { return reply.send(Response(status: 204)) }
      let pieces = Pieces(released)
      reply.send(
        Response(
          status: 200,
          stream: BodyStream(count: count * Pieces.length) { deliver in
            DispatchQueue.global().async { deliver(pieces.next()) }
          }))
    }
  }

  @Test("A long stream arrives complete, twice on one connection, and is released")
  func whole() throws {
    let released = DispatchSemaphore(value: 0)
    let running = try RunningServer(handler: Self.handler(pieces: 100, released))
    let client = Client(port: running.port)
    for _ in 0..<2 {
      client.send(Self.get)
      let body = client.receive()?.body ?? []
      #expect(body.count == 100 * Pieces.length)
      let isInOrder = body.indices.allSatisfy { body[$0] == UInt8(truncatingIfNeeded: $0 / Pieces.length) }
      #expect(isInOrder)
      #expect(released.wait(timeout: .now() + 5) == .success)
    }
    #expect(running.stop() == true)
  }

  @Test("A client that reads nothing stalls only its own stream, which is released when the client leaves")
  func stalled() throws {
    let released = DispatchSemaphore(value: 0)
    let running = try RunningServer(handler: Self.handler(pieces: 100_000, released))
    let slow = Client(port: running.port, receiveBuffer: 65_536)
    slow.send(Self.get)
    let other = Client(port: running.port)
    for _ in 0..<50 {
      other.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
      #expect(other.receive()?.status == 204)
    }
    #expect(running.server.statistics.bytesSent < 100_000 * Pieces.length / 10)
    #expect(released.wait(timeout: .now()) == .timedOut)
    slow.reset()
    #expect(released.wait(timeout: .now() + 5) == .success)
    #expect(running.stop() == true)
  }

  @Test("Draining finishes a stream that is under way")
  func drain() throws {
    let released = DispatchSemaphore(value: 0)
    let running = try RunningServer(handler: Self.handler(pieces: 200, released))
    let client = Client(port: running.port, receiveBuffer: 65_536)
    client.send(Self.get)
    other(running)
    running.server.drain()
    #expect(client.receive()?.body.count == 200 * Pieces.length)
    #expect(running.ended() == true)
  }

  /// Makes another exchange, after which everything that was sent before has reached the handler.
  private func other(_ running: RunningServer) {
    let client = Client(port: running.port)
    client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    #expect(client.receive()?.status == 204)
  }
}
