import Dispatch
import HTTP1
import Platform
import Synchronization

/// An HTTP/1.1 server: one listener, one or more event loops, one handler.
public final class HTTPServer: Sendable {
  private let configuration: ServerConfiguration
  private let handler: any RequestHandler
  private let makeTransport: @Sendable (_ descriptor: Int32) -> (any Transport)?
  private let listener: Listener
  private let group: LoopGroup

  /// Binds and listens: from here on connections queue up, and `run` serves them. Port 0 takes a free one.
  ///
  /// - Parameter identity: what connections are secured with; nil serves plain HTTP.
  public convenience init(
    configuration: ServerConfiguration, handler: any RequestHandler, identity: TLSIdentity? = nil
  ) throws(ServerError) {
    try self.init(configuration: configuration, handler: handler) { descriptor in
      guard let identity else { return PlainTransport(descriptor) }
      return identity.transport(descriptor)
    }
  }

  /// The same, with a transport of the caller's for each accepted socket; nil when there is no memory for one.
  package init(
    configuration: ServerConfiguration, handler: any RequestHandler,
    transport makeTransport: @escaping @Sendable (_ descriptor: Int32) -> (any Transport)?
  ) throws(ServerError) {
    self.configuration = configuration
    self.handler = handler
    self.makeTransport = makeTransport
    listener = try Listener(host: configuration.host, port: configuration.port, backlog: configuration.backlog)
    group = try LoopGroup(configuration)
  }

  /// The port in use.
  public var port: Int { listener.port }

  /// Counters since the start, of all loops together. Any thread may ask.
  public var statistics: ServerStatistics {
    var statistics = ServerStatistics()
    for link in group.links { link.counters.add(to: &statistics) }
    statistics.connectionsOpen = group.connectionsOpen
    statistics.bodyBytes = group.memory.bytes
    statistics.connectionsHeldBack = group.memory.waiting
    return statistics
  }

  /// Serves on the calling thread until drained, and with several loops on other threads as well. To be called once.
  ///
  /// - Returns: true when everything in flight was finished, false when the drain time cut requests off.
  /// - Throws: when the system refuses what the loop cannot do without.
  @discardableResult
  public func run() throws(ServerError) -> Bool {
    let others = DispatchGroup()
    for index in group.links.indices.dropFirst() {
      // A serial queue has a thread of its own for as long as its job runs.
      DispatchQueue(label: "nearfar.loop.\(index)", qos: .default).async(group: others) { self.serve(index) }
    }
    serve(0)
    others.wait()
    return try group.result()
  }

  /// Runs one loop on the calling thread, to its end.
  private func serve(_ index: Int) {
    do throws(ServerError) {
      let loop = try EventLoop(
        configuration: configuration, handler: handler, transport: makeTransport, listener: index == 0 ? listener : nil,
        group: group, index: index)
      group.end(index, .success(try loop.run()))
    } catch {
      group.end(index, .failure(error))
    }
  }

  /// Ends keep-alive, finishes each request whose head is whole with `Connection: close`, then lets `run` return. A
  /// connection that is idle or in the middle of a head is not waited for. The listener stays open until the end. Any
  /// thread may call this.
  public func drain() {
    group.drain()
  }
}

/// Address, limits and times of a server. Times are seconds.
public struct ServerConfiguration: Sendable {
  /// An IPv4 or IPv6 address or a name that resolves to one.
  public var host: String
  /// 0 takes a free port.
  public var port: Int
  /// Event loops, each on a thread of its own. The limits below hold for all of them together.
  public var loops = 1
  /// Bytes of request line and fields together; beyond that 414 or 431.
  public var maxHeadBytes = 16_384
  /// Field lines of one request; beyond that 431.
  public var maxFields = 100
  /// Connections served at once; further ones are answered 503 and closed.
  public var maxConnections = 1024
  /// Connections of one client, an IPv4 address or an IPv6 network of 64 bits; further ones are answered 429 and closed. 0 for any number.
  public var maxConnectionsPerClient = 0
  /// Bytes of all bodies together, from their first byte until they are answered; beyond that, reading stops on connections that are
  /// within a body. A longer body is answered 413.
  public var maxMemoryInFlight = Int.max
  /// Handshakes that may be under way at once; beyond that the oldest is given up. nil for seven eighths of `maxConnections`.
  public var maxHandshakes: Int?
  /// From accepting a connection to the end of its handshake.
  public var handshakeTimeout = 10.0
  /// From accepting a connection, or from the end of an answer, to the first byte of a head.
  public var idleTimeout = 75.0
  /// From the first byte of a head to its last.
  public var headTimeout = 10.0
  /// Longest pause within a body; also how long a body may take before `minimumBodyRate` counts.
  public var bodyTimeout = 10.0
  /// Bytes per second that a body must arrive with, on average.
  public var minimumBodyRate = 1024
  /// Longest time in which the client takes no byte of an answer.
  public var writeTimeout = 30.0
  /// From `drain` to cutting off what is still in flight. `docker stop` kills after 10 seconds.
  public var drainTimeout = 8.0
  /// Each connection has to begin with a header of the PROXY protocol, version 1 or 2, within `headTimeout`. One that does not is closed
  /// without an answer.
  public var proxyProtocol = false
  /// Connections that the kernel holds until they are accepted.
  public var backlog = 1024

  public init(host: String = "127.0.0.1", port: Int = 8080) {
    self.host = host
    self.port = port
  }
}

extension ConnectionLimits {
  /// The configuration's sizes and times, in the connection's units.
  init(_ configuration: ServerConfiguration) {
    self.init()
    maxHeadBytes = configuration.maxHeadBytes
    maxFields = configuration.maxFields
    idleTimeout = SystemClock.nanoseconds(configuration.idleTimeout)
    headTimeout = SystemClock.nanoseconds(configuration.headTimeout)
    bodyTimeout = SystemClock.nanoseconds(configuration.bodyTimeout)
    writeTimeout = SystemClock.nanoseconds(configuration.writeTimeout)
    minimumBodyRate = UInt64(clamping: configuration.minimumBodyRate)
  }
}

/// Why a server could not start or had to stop.
public struct ServerError: Error, Sendable, Equatable, CustomStringConvertible {
  /// What failed, for instance `listen on 127.0.0.1:8080`.
  public var operation: String
  /// The error number of the system; 0 where the system was not asked.
  public var code: Int32
  /// The reason in words.
  public var message: String

  public init(operation: String, code: Int32 = 0, message: String) {
    self.operation = operation
    self.code = code
    self.message = message
  }

  public var description: String { "\(operation): \(message)" }
}

/// Counters of a server at one moment.
public struct ServerStatistics: Sendable, Equatable {
  /// Connections open now.
  public var connectionsOpen = 0
  /// The same by what they are doing. While a connection goes from one activity to another, it may be counted under both or neither.
  public var connections: [ConnectionActivity: Int] = [:]
  /// Times that ran out.
  public var timeouts: [ConnectionTimeout: Int] = [:]
  /// Connections accepted since the start, refused ones included.
  public var connectionsAccepted = 0
  /// Connections answered 503 or closed for lack of room.
  public var connectionsRejected = 0
  /// Connections answered 429 or closed because their client had too many.
  public var connectionsOfBusyClients = 0
  /// Connections closed because they did not begin with a header of the PROXY protocol.
  public var proxyHeadersRejected = 0
  /// Requests handed to the handler.
  public var requests = 0
  /// Requests that the server refused itself for a fault in them.
  public var failures = 0
  /// Bytes of HTTP, without what TLS adds.
  public var bytesReceived = 0
  public var bytesSent = 0
  /// Bytes of bodies that are being received or handled, and of answers that wait to be sent.
  public var bodyBytes = 0
  /// Connections on which reading has stopped for want of memory.
  public var connectionsHeldBack = 0
  /// Handshakes that were finished, and how many of them resumed an earlier session.
  public var handshakes = 0
  public var handshakesResumed = 0
  /// Handshakes that failed, took too long, or had to make room for others.
  public var handshakesFailed = 0
  /// Handshakes under way now.
  public var handshakesOpen = 0

  public init() {}
}

/// The live counters behind `ServerStatistics`, of one loop, which alone writes them.
final class Counters: Sendable {
  let connections = ConnectionCounts()
  let connectionsClosed = Atomic(0)
  let connectionsAccepted = Atomic(0)
  let connectionsRejected = Atomic(0)
  let connectionsOfBusyClients = Atomic(0)
  let proxyHeadersRejected = Atomic(0)
  let requests = Atomic(0)
  let failures = Atomic(0)
  let bytesReceived = Atomic(0)
  let bytesSent = Atomic(0)
  let handshakes = Atomic(0)
  let handshakesResumed = Atomic(0)
  let handshakesFailed = Atomic(0)
  let handshakesOpen = Atomic(0)

  func add(to statistics: inout ServerStatistics) {
    statistics.connectionsAccepted += connectionsAccepted.load(ordering: .relaxed)
    statistics.connectionsRejected += connectionsRejected.load(ordering: .relaxed)
    statistics.connectionsOfBusyClients += connectionsOfBusyClients.load(ordering: .relaxed)
    statistics.proxyHeadersRejected += proxyHeadersRejected.load(ordering: .relaxed)
    statistics.requests += requests.load(ordering: .relaxed)
    statistics.failures += failures.load(ordering: .relaxed)
    statistics.bytesReceived += bytesReceived.load(ordering: .relaxed)
    statistics.bytesSent += bytesSent.load(ordering: .relaxed)
    statistics.handshakes += handshakes.load(ordering: .relaxed)
    statistics.handshakesResumed += handshakesResumed.load(ordering: .relaxed)
    statistics.handshakesFailed += handshakesFailed.load(ordering: .relaxed)
    statistics.handshakesOpen += handshakesOpen.load(ordering: .relaxed)
    connections.add(to: &statistics)
  }
}

extension Atomic<Int> {
  /// Adds without a locked instruction, which a single writer does not need.
  @inline(__always)
  func add(_ amount: Int) {
    store(load(ordering: .relaxed) &+ amount, ordering: .relaxed)
  }
}
