import Platform
import Safetensors

/// What a service is started with.
public struct ServiceConfiguration: Sendable {
  /// Work queues, and so cores that encode, score and search at the same time.
  public var threads: Int
  public var limits: Limits
  /// `/metrics` and `/info` are served by ``Service/admin`` alone.
  public var hasAdminPort = false
  /// Event loops that hand over requests; each has its jobs collected apart.
  public var loops = 1
  /// Seconds that work may have to wait for what was there before; beyond that it is refused.
  public var queueTimeout = 30.0
  /// Nanoseconds within which a request that states no time of its own has to be answered; nil for any time.
  public var requestTimeout: UInt64?
  /// Which answers are compressed.
  public var compression = AnswerCompression.on
  /// The proxies that say whose a request is.
  public var trustedProxies = TrustedProxies()
  /// Requests that one client may have in flight; 0 for any number.
  public var maxRequestsPerClient = 0
  /// Connections that the server takes; shown by `/info`.
  public var maxConnections = 1024
  /// Bytes that the header of an export may have; what readers of the format take, and less in tests.
  public var longestExportHeader = SafetensorsHead.longest
  /// Monotonic nanoseconds, by which answers under an `Idempotency-Key` and versions kept for exports expire.
  public var clock: @Sendable () -> UInt64

  public init(
    threads: Int, limits: Limits = Limits(), clock: @escaping @Sendable () -> UInt64 = { SystemClock.monotonic }
  ) {
    self.threads = max(1, threads)
    self.limits = limits
    self.clock = clock
  }
}

/// Bounds on what one request may ask for; each is a flag and shown by `/info`.
public struct Limits: Sendable, Equatable {
  /// Bytes of a body.
  public var maxBodyBytes = 128 << 20
  /// Texts, rows or points of one request.
  public var maxInputs = 100_000
  /// Characters (Unicode scalars) of one text.
  public var maxCharacters = 1_000_000
  /// Values of one vector.
  public var maxDimension = 8192
  /// Neighbours of one query.
  public var maxNeighbors = 10_000
  /// Nesting of a JSON body.
  public var maxJSONDepth = 32
  /// Bytes of request line and fields together.
  public var maxHeadBytes = 16_384
  /// Field lines of one request.
  public var maxFields = 100

  public init() {}
}

/// The version of the program.
public enum Version {
  public static let current = "0.1.0"
}
