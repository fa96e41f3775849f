import Platform
import Safetensors

/// What a service is started with.
public struct ServiceConfiguration: Sendable {
  /// Work queues, and so cores that encode, score and search at the same time.
  public var threads: Int
  public var limits: Limits
  /// The precision of the encoder, one of auto, f32, bf16 and int8.
  public var precision = "auto"
  /// Fewer tokens of a text than the models would take; nil for as many as they take.
  public var maxSequenceLength: Int?
  /// The name of the prompt that is used where a request asks for none, in the models that have it; nil for what each
  /// model's folder says.
  public var defaultPrompt: String?
  /// OpenAI's `/v1/embeddings` takes token ids that may be of another model's vocabulary.
  public var acceptsTokenIds = false
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
  /// The keys that requests need; nil lets everyone do everything.
  public var keys: APIKeys?
  /// The web pages that may use the service beside its own.
  public var webOrigins = WebOrigins()
  /// Requests that one client may have in flight; 0 for any number.
  public var maxRequestsPerClient = 0
  /// Requests that the holders of one API key may have in flight; 0 for any number.
  public var maxRequestsPerKey = 0
  /// Bytes of vectors that are kept for texts that come again; 0 for none.
  public var embeddingCacheBytes = 0
  /// nil for none.
  public var accessLog: AccessLog?
  /// Connections that the server takes; shown by `/info`.
  public var maxConnections = 1024
  /// Connections of one client and bytes of bodies in flight that the server takes; shown by `/info`.
  public var maxConnectionsPerClient = 0
  public var maxMemoryInFlight: Int?
  /// What the system lets the process have; shown by `/info`.
  public var usable: UsableResources?
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

/// What the system lets the process have, as far as the program has found out.
public struct UsableResources: Sendable {
  /// Cores that the process may use at once.
  public var cores: Int
  /// The quota of its control group, in cores; nil for none.
  public var quota: Double?
  /// The limit of its control group, in bytes; nil for none.
  public var memory: Int?

  public init(cores: Int, quota: Double?, memory: Int?) {
    (self.cores, self.quota, self.memory) = (cores, quota, memory)
  }
}

/// The version of the program.
public enum Version {
  public static let current = "0.1.0"
}
