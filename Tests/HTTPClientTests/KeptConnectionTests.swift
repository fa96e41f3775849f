import Dispatch
import HTTP1
import HTTPClient
import HTTPServer
import Synchronization
import Testing

@Suite("Client: kept connections")
struct KeptConnectionTests {
  /// Answers any request but those for `/slow`.
  private final class Handler: RequestHandler {
    private let taken = Mutex<[String]>([])
    private let unanswered = Mutex<[any ReplyChannel]>([])

    var paths: [String] { taken.withLock { $0 } }

    func admit(_ head: RequestHead, from peer: Peer) -> Admission { .accept(maxBodyBytes: 1000) }

    func handle(_ request: Request, reply: any ReplyChannel) {
      let path = request.head.path
      taken.withLock { $0.append(path) }
      if path == "/slow" { return unanswered.withLock { $0.append(reply) } }
      reply.send(Response(status: 200, body: Array(path.utf8)))
    }

    func endOfPass(loop: Int) {}

    func failureResponse(_ failure: RequestFailure, head: RequestHead?, from peer: Peer) -> Response {
      Response(status: failure.status)
    }
  }

  /// A server on a thread of its own, until the test releases it.
  private final class Running {
    let handler = Handler()
    let client: HTTPClient
    private let server: HTTPServer
    private let ended = DispatchGroup()

    init(idleTimeout: Double = 75) throws {
      var configuration = ServerConfiguration(host: "127.0.0.1", port: 0)
      configuration.idleTimeout = idleTimeout
      configuration.drainTimeout = 0
      let server = try HTTPServer(configuration: configuration, handler: handler)
      DispatchQueue(label: "server").async(group: ended) { _ = try? server.run() }
      self.server = server
      client = try HTTPClient(ServiceURL("http://127.0.0.1:\(server.port)"), timeout: 1)
    }

    deinit {
      server.drain()
      ended.wait()
    }
  }

  @Test("A request that is not answered in time is not sent again: the service may be at work on it")
  func late() throws {
    let running = try Running()
    let client = running.client
    #expect(try client.send(ClientRequest("GET", "/")).status == 200)
    let error = #expect(throws: ClientError.self) { try client.send(ClientRequest("POST", "/slow", body: [1])) }
    #expect(error?.kind == .late && error?.isTransient == true)
    #expect(running.handler.paths == ["/", "/slow"])
    #expect(try client.send(ClientRequest("GET", "/")).status == 200)
  }

  @Test("A connection that the service has closed while it was idle is replaced")
  func closed() throws {
    let running = try Running(idleTimeout: 0.2)
    let client = running.client
    #expect(try client.send(ClientRequest("GET", "/")).status == 200)
    // Longer than the service keeps an idle connection.
    _ = DispatchSemaphore(value: 0).wait(timeout: .now() + 0.6)
    #expect(try client.send(ClientRequest("POST", "/", body: [1])).status == 200)
    #expect(running.handler.paths == ["/", "/"])
  }
}
