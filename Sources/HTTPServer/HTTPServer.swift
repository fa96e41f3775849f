import HTTP1
import Synchronization

/// An HTTP/1.1 server over plain TCP: one listener, one event loop, one handler.
public final class HTTPServer: Sendable {
  private let configuration: ServerConfiguration
  private let handler: any RequestHandler
  private let listener: Listener
  private let wakeup: Wakeup
  private let mailbox: Mailbox
  private let counters = Counters()
  private let isDrainRequested = Atomic(false)

  /// Binds and listens: connections queue up from here on and are served by `run`. Port 0 takes a free one.
  public init(configuration: ServerConfiguration, handler: any RequestHandler) throws(ServerError) {
    self.configuration = configuration
    self.handler = handler
    listener = try Listener(host: configuration.host, port: configuration.port, backlog: configuration.backlog)
    wakeup = try Wakeup()
    mailbox = Mailbox(wakeup: wakeup)
  }

  /// The port in use.
  public var port: Int { listener.port }

  /// Counters since the start; any thread.
  public var statistics: ServerStatistics { counters.snapshot }

  /// Serves on the calling thread until drained. To be called once.
  ///
  /// True when everything in flight was finished, false when the drain time cut requests off. Throws when the kernel
  /// refuses the loop its service.
  @discardableResult
  public func run() throws(ServerError) -> Bool {
    let loop = try EventLoop(
      configuration: configuration, handler: handler, listener: listener, wakeup: wakeup, mailbox: mailbox,
      counters: counters)
    return try loop.run { self.isDrainRequested.load(ordering: .acquiring) }
  }

  /// Ends keep-alive, finishes what is in flight with `Connection: close`, then lets `run` return. The listener stays
  /// open until then. Any thread.
  public func drain() {
    isDrainRequested.store(true, ordering: .releasing)
    wakeup.signal()
  }
}
