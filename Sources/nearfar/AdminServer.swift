import Dispatch
import HTTPServer
import Service

/// The listener of the admin port, which has an event loop and a thread of its own. It is stopped last, so that probes and a
/// scrape are answered until everything else is done.
struct AdminServer {
  private let server: HTTPServer
  private let log: Log
  private let thread = DispatchGroup()

  /// Listens; ``start()`` serves.
  init(
    _ configuration: ServerConfiguration, service: Service, identity: TLSIdentity?, log: Log
  ) throws(ServerError) {
    server = try HTTPServer(configuration: configuration, handler: service.admin, identity: identity)
    self.log = log
    let url = Self.url(configuration.host, port: server.port, isSecure: identity != nil)
    log.info("/metrics and /info are served on the admin port, \(url)")
  }

  /// The address of a listener as a URL.
  static func url(_ host: String, port: Int, isSecure: Bool) -> String {
    "\(isSecure ? "https" : "http")://\(host.contains(":") ? "[\(host)]" : host):\(port)"
  }

  func start() {
    DispatchQueue(label: "nearfar.admin").async(group: thread) { [server, log] in
      do {
        try server.run()
      } catch {
        log.error("the admin port is not served any more: \(error)")
      }
    }
  }

  func stop() {
    server.drain()
    thread.wait()
  }
}
