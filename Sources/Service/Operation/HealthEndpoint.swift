import HTTP1
import JSON
import Synchronization

/// `/livez`, `/readyz` and `/health`: what orchestrators and balancers ask.
final class HealthEndpoint: Sendable {
  private let leaving = Atomic(false)
  private let draining = Atomic(false)

  /// Not ready from now on, although everything is still served.
  func announceEnd() { leaving.store(true, ordering: .releasing) }

  /// Not ready from now on; what was accepted is still answered.
  func beginDraining() {
    announceEnd()
    draining.store(true, ordering: .releasing)
  }

  var isDraining: Bool { draining.load(ordering: .acquiring) }

  /// The answer to new work while the service drains: it belongs to another replica now.
  static let drainingProblem = Problem(503, "the service is draining")

  /// The process runs.
  func live() -> Response { Self.isLive }

  /// The model is loaded and the service takes requests: an instance exists only after loading.
  func ready() -> Response {
    leaving.load(ordering: .acquiring) ? Self.drainingProblem.response(.native) : Self.isReady
  }

  private static let isLive = status("ok")
  private static let isReady = status("ready")

  private static func status(_ text: String) -> Response {
    var writer = JSONWriter(reserving: 32)
    writer.object { $0.member("status", text) }
    return Response(writer, status: 200)
  }
}
