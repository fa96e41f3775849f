import HTTP1

/// What is served on the admin port: probes, `/metrics` and `/info`, and nothing else. Everything is as on the main port, and
/// counted with it.
struct AdminHandler: RequestHandler {
  fileprivate let service: Service

  func admit(_ head: RequestHead, from peer: Peer) -> Admission {
    service.admit(head, from: peer, service.adminAdmittance)
  }

  func handle(_ request: Request, reply: any ReplyChannel) { service.handle(request, reply: reply) }

  func endOfPass(loop: Int) { service.endOfPass(loop: loop) }

  func failureResponse(_ failure: RequestFailure, head: RequestHead?, from peer: Peer) -> Response {
    service.failureResponse(failure, head: head, from: peer, service.adminAdmittance)
  }
}

extension AdminHandler {
  /// The answer of the admin port to what it does not serve.
  static func onlyHere(_ path: String) -> Problem {
    Problem(
      404,
      "there is no route \(path) on the admin port, which has /metrics, /info, /livez, /readyz, /health and /ping")
  }

  /// The answer of the main port, where there is an admin port.
  static func notHere(_ path: String) -> Problem {
    guard path == "/metrics" || path == "/info" else { return .noRoute(path) }
    return Problem(404, "\(path) is served on the admin port of this service (--admin-port)")
  }
}

extension Service {
  /// The handler of the admin port.
  public var admin: any RequestHandler { AdminHandler(service: self) }
}
