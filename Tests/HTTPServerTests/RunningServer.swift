import Dispatch
import HTTP1
import HTTPServer
import Synchronization

/// A server on a thread of its own, which is drained when the test releases it.
final class RunningServer: Sendable {
  let server: HTTPServer
  private let hasEnded = DispatchSemaphore(value: 0)
  private let result = Box(Mutex<Bool?>(nil))

  /// A server whose connections are secured.
  convenience init(
    _ configure: (inout ServerConfiguration) -> Void, handler: any RequestHandler, identity: TLSIdentity
  ) throws {
    self.init(try HTTPServer(configuration: Self.configuration(configure), handler: handler, identity: identity))
  }

  convenience init(
    _ configure: (inout ServerConfiguration) -> Void = { _ in }, handler: any RequestHandler,
    transport: @escaping @Sendable (_ descriptor: Int32) -> any Transport = { PlainTransport($0) }
  ) throws {
    self.init(try HTTPServer(configuration: Self.configuration(configure), handler: handler, transport: transport))
  }

  private static func configuration(_ configure: (inout ServerConfiguration) -> Void) -> ServerConfiguration {
    var configuration = ServerConfiguration(host: "127.0.0.1", port: 0)
    configuration.drainTimeout = 5
    configure(&configuration)
    return configuration
  }

  private init(_ server: HTTPServer) {
    self.server = server
    DispatchQueue(label: "server").async { [server, result, hasEnded] in
      let isComplete = try? server.run()
      result.value.withLock { $0 = isComplete }
      hasEnded.signal()
    }
  }

  var port: Int { server.port }

  /// What `run` returned, or nil when it does not return in time.
  func ended(within seconds: Double = 10) -> Bool? {
    guard hasEnded.wait(timeout: .now() + seconds) == .success else { return nil }
    hasEnded.signal()
    return result.value.withLock { $0 }
  }

  func stop() -> Bool? {
    server.drain()
    return ended()
  }

  deinit { server.drain() }
}

/// A handler made of closures.
struct ClosureHandler: RequestHandler {
  var maxBodyBytes = 1 << 30
  var passes: @Sendable (_ loop: Int) -> Void = { _ in }
  let answer: @Sendable (Request, any ReplyChannel) -> Void

  func admit(_ head: RequestHead, from peer: Peer) -> Admission { .accept(maxBodyBytes: maxBodyBytes) }
  func handle(_ request: Request, reply: any ReplyChannel) { answer(request, reply) }
  func endOfPass(loop: Int) { passes(loop) }
  func failureResponse(_ failure: RequestFailure, head: RequestHead?, from peer: Peer) -> Response {
    Response(status: failure.status, body: Array(failure.reason.utf8))
  }

  /// Answers with the request's body, or with its target where the body is empty.
  static let echo = ClosureHandler { request, reply in
    let body = request.body.isEmpty ? Array(request.head.target.utf8) : request.body
    reply.send(Response(status: 200, body: body))
  }
}

/// Holds requests until the test answers them.
final class Inbox: Sendable {
  private let held = Mutex<[(target: String, reply: any ReplyChannel)]>([])

  /// The handler that puts requests here, except those for `/now`, which it answers.
  var handler: ClosureHandler {
    ClosureHandler { request, reply in
      if request.head.path == "/now" {
        reply.send(Response(status: 200, body: Array("now".utf8)))
      } else {
        self.held.withLock { $0.append((request.head.target, reply)) }
      }
    }
  }

  /// Takes all requests once there are `count`, or those that have arrived after ten seconds.
  func take(_ count: Int) -> [(target: String, reply: any ReplyChannel)] {
    wait { held.withLock { $0.count >= count } }
    return held.withLock { held in
      defer { held = [] }
      return held
    }
  }
}

/// Lets time pass.
func pause(milliseconds: Int) {
  _ = DispatchSemaphore(value: 0).wait(timeout: .now() + .milliseconds(milliseconds))
}

/// Waits until `condition` holds, ten seconds at most. Returns whether it does.
@discardableResult
func wait(until condition: () -> Bool) -> Bool {
  for _ in 0..<10_000 {
    if condition() { return true }
    pause(milliseconds: 1)
  }
  return condition()
}

/// Carries a value to another thread. The test must ensure that only one thread uses it at a time.
final class Box<Value: ~Copyable>: @unchecked Sendable {
  let value: Value
  init(_ value: consuming Value) { self.value = value }
}
