import HTTPServer
import Platform
import Service

/// Everything that `nearfar serve` can be told.
struct ServeOptions {
  let models: [LoadedModels.Source]
  /// The folder of a cross-encoder; nil for none.
  let reranker: String?
  let server: ServerConfiguration
  /// The listener for operators; nil where there is none.
  let admin: ServerConfiguration?
  let service: ServiceConfiguration
  let storage: Storage
  let lowMemory: Bool
  let logForm: LogText.Form
  /// nil for no access log.
  let accessLog: AccessLog.Selection?
  /// Seconds from the signal to the drain.
  let shutdownDelay: Double
  /// nil serves plain HTTP.
  let tls: TLSFiles?
  /// The file of API keys; nil lets everyone do everything.
  let keys: String?

  private typealias Field<Root, Value> = WritableKeyPath<Root, Value> & Sendable

  /// Also read by `nearfar health`, from the environment.
  static let port = Flag(
    "port", .integer(0...65_535), .defaults(to: ServerConfiguration().port), isVariable: true,
    "The port to listen on; 0 takes a free one.")
  private static let adminPort = Flag(
    "admin-port", .integer(0...65_535), .optional(meaning: "they are served on --port"), isVariable: true,
    "A port of its own, on the same address, for /metrics and /info, and for probes, which --port serves as well. 0 takes a free "
      + "one.")
  private static let host = Flag(
    "host", .text("ADDRESS"), .defaults(to: ServerConfiguration().host), isVariable: true,
    "The address to listen on, or a name that resolves to it.")
  /// Also read by `nearfar embed`.
  static let modelFolder = Flag(
    "model", .text("DIR"), .defaults(to: defaultModel), isVariable: true,
    "The folder of the encoder, in the layout of Hugging Face.")
  private static let defaultModel = "models/all-MiniLM-L6-v2"
  private static let modelFolders = Flag(
    "model",
    Accepted(
      placeholder: "[NAME=]DIR", rule: nil, candidates: .folders, isRepeatable: true,
      read: { text throws(UsageError) in try ModelSources(text)?.sources }),
    .defaults(to: [LoadedModels.Source(folder: defaultModel)], shown: defaultModel), isVariable: true,
    "The folder of the encoder, in the layout of Hugging Face. With several, requests choose one by its NAME as 'model', and the "
      + "first is used where they name none.")
  private static let rerankerFolder = Flag(
    "reranker", .text("DIR"), .optional(meaning: "none"), isVariable: true,
    "The folder of a cross-encoder, in the layout of Hugging Face, for /rerank, /predict and 'rerank' in /neighbors.")
  /// Also read by `nearfar embed`.
  static let maxSequenceLength = Flag(
    "max-seq-length", .integer(2...1 << 24), .optional(meaning: "as many as the model takes"), isVariable: true,
    "The most tokens of a text; longer texts are cut. It can only lower the model's own limit.")
  private static let defaultPrompt = Flag(
    "default-prompt", .text("NAME"), .optional(meaning: "as the model's folder says"), isVariable: true,
    "The model's prompt of this name stands before texts where a request asks for none.")
  /// Also read by `nearfar embed`.
  static let precision = Flag(
    "precision", .choice(["auto", "f32", "bf16", "int8"]), .defaults(to: "auto"), isVariable: true,
    "The number format of the encoder's products: auto is bf16 where the processor multiplies it and f32 elsewhere. int8 is "
      + "fastest and least exact; GET /info says how near it comes.")
  private static let threads = Usable.threads(
    isVariable: true, "Work queues, and so requests that compute at the same time.")
  private static let loops = Flag(
    "loops", .integer(1...64), .defaults(to: ServerConfiguration().loops), isVariable: true,
    "Event loops, each a thread that reads requests and sends answers. One is enough unless it keeps a whole core busy."
  )
  private static let acceptTokenIds = Flag(
    "accept-token-ids", .standingAlone, .defaults(to: false), isVariable: true,
    "/v1/embeddings takes all token ids, also those that do not begin and end with this model's special tokens and so "
      + "may be another model's.")
  private static let compression = Flag(
    "compression", .choice(["on", "off", "all"]), .defaults(to: "on"), isVariable: true,
    "Whether answers from 1 KiB on are sent as gzip to clients that accept it; with on, those that are mostly vectors are not, "
      + "since compressing them takes longer than it saves at 1 Gbit/s.")
  private static let logFormat = Flag(
    "log-format", .choice(["text", "json"]), .defaults(to: "text"), isVariable: true,
    "The form of the lines on standard error.")
  private static let accessLogging = Flag(
    "access-log",
    Accepted<AccessLog.Selection?>(
      placeholder: "off|all|errors|sampled:N",
      rule: "one of off, all, errors, sampled:N", isPlain: true, candidates: .words(["off", "all", "errors"]),
      read: { text in
        if text == "off" { return .some(nil) }
        return AccessLog.Selection(text).map { .some($0) }
      }), .defaults(to: nil, shown: "off"), isVariable: true,
    "Which requests have a line in the log on standard error: errors are those answered with a status from 400 on; sampled:N is every "
      + "Nth request, and those answered with a status from 500 on.")

  /// Also read by `nearfar health`, from the environment.
  static let certificate = Flag(
    "tls-cert", .text("FILE"), .optional(meaning: "plain HTTP"), isVariable: true,
    "The certificate to serve HTTPS with, and the intermediate ones behind it (PEM). It is read anew on SIGHUP and when it "
      + "changes.")
  private static let key = Flag(
    "tls-key", .text("FILE"), .optional(), isVariable: true,
    "The certificate's private key (PEM, without a passphrase).")
  private static let clientAuthorities = Flag(
    "tls-client-ca", .text("FILE"), .optional(meaning: "clients are not asked for certificates"), isVariable: true,
    "The certificates that a client's certificate has to be signed by (PEM).")
  private static let clientCertificates = Flag(
    "tls-client-auth", .choice(["required", "optional"]), .defaults(to: "required"), isVariable: true,
    "Whether a client needs a certificate where --tls-client-ca is given.")

  /// The commands that use a service read it as well.
  static let keyFile = Flag(
    "api-key-file", .text("FILE"), .optional(meaning: "no keys are needed"), isVariable: true,
    "The API keys that requests need: a line for each, NAME:KEY or KEY, then its rights (read, write, admin; all where none "
      + "stand there). It is read anew on SIGHUP and when it changes.")

  private static let webOrigins = Flag(
    "cors-origin",
    Accepted(
      placeholder: "ORIGIN", rule: "an origin of web pages such as https://example.com, or *", isRepeatable: true,
      read: { WebOrigins($0) }),
    .defaults(to: WebOrigins(), shown: "none but the service's own"), isVariable: true,
    "Web pages of this origin may use the service from browsers (CORS).")

  private static let maxConnections = Flag(
    "max-connections", .integer(1...1 << 20), .defaults(to: ServerConfiguration().maxConnections), isVariable: true,
    "Connections served at once; further ones are answered 503.")
  private static let maxConnectionsPerClient = Flag(
    "max-connections-per-client", .integer(0...1 << 20), .defaults(to: 0, shown: "0"), isVariable: true,
    "Connections of one client, an IPv4 address or an IPv6 network of 64 bits; further ones are answered 429. "
      + "0 is any number.")
  private static let maxRequestsPerClient = Flag(
    "max-requests-per-client", .integer(0...1 << 20), .defaults(to: 0, shown: "0"), isVariable: true,
    "Requests in flight of one client, as trusted proxies name it; further ones are answered 429. Probes are not counted. "
      + "0 is any number."
  )
  private static let maxRequestsPerKey = Flag(
    "max-requests-per-key", .integer(0...1 << 20), .defaults(to: 0, shown: "0"), isVariable: true,
    "Requests in flight of one API key, or of several of one name; further ones are answered 429. 0 is any number.")
  private static let embeddingCache = Flag(
    "embedding-cache-mb", .integer(0...1 << 20), .defaults(to: 0, shown: "0"), isVariable: true,
    "Mebibytes of vectors that are kept for texts that come again. 0 keeps none.")
  private static let maxMemoryInFlight = Flag(
    "max-memory-in-flight", .integer(1 << 20...1 << 50),
    .defaults(to: max(1 << 20, Usable.memory / 4), shown: "a quarter of the memory that the process may use"),
    isVariable: true,
    "Bytes of request bodies and answers together; beyond that, bodies are not read on until others have been answered."
  )
  /// Also read by `nearfar health`, from the environment.
  static let proxyProtocol = Flag(
    "proxy-protocol", .standingAlone, .defaults(to: false), isVariable: true,
    "Each connection has to begin with a header of the PROXY protocol, version 1 or 2, which says whose it is; one that does not is "
      + "closed.")
  private static let trustedProxies = Flag(
    "trusted-proxy",
    Accepted(
      placeholder: "CIDR", rule: "an address, or a network such as 10.0.0.0/8 without bits set behind its prefix",
      isRepeatable: true, read: { $0.isEmpty ? nil : TrustedProxies($0) }),
    .defaults(to: TrustedProxies(), shown: "none"), isVariable: true,
    "A proxy whose X-Forwarded-For or Forwarded says whose a request is, for the log and for limits per client.")
  private static let times: [(flag: Flag<Double>, field: Field<ServerConfiguration, Double>)] = [
    time("idle-timeout", \.idleTimeout, "How long a connection may wait for its first or next request."),
    time(
      "drain-timeout", \.drainTimeout,
      "How long requests in flight may take after SIGTERM. docker stop kills after 10 seconds."),
  ]
  private static let shutdownDelay = Flag(
    "shutdown-delay", .seconds(zero: true), .defaults(to: 0, shown: "0"), isVariable: true,
    "How long requests are still taken after SIGTERM while /readyz says 503, so that a balancer notices. A second signal ends "
      + "it.")
  private static let queueTimeout = Flag(
    "queue-timeout", .seconds(zero: false), .defaults(to: 30, shown: "30"), isVariable: true,
    "How long work may have to wait for what was there before; beyond that it is answered 503 at once.")
  private static let requestTimeout = Flag(
    "request-timeout", .seconds(zero: false), .optional(meaning: "any time"), isVariable: true,
    "How long a request may take that has no X-Request-Timeout-Ms. Work that cannot be done in time is dropped.")
  private static let limits: [(flag: Flag<Int>, field: Field<Limits, Int>)] = [
    limit("max-body-bytes", 1...1 << 40, \.maxBodyBytes, "bytes of a request's body"),
    limit("max-inputs", 1...1 << 40, \.maxInputs, "texts, rows or points of one request"),
    limit("max-input-chars", 1...1 << 40, \.maxCharacters, "characters (Unicode scalars) of one text"),
    limit("max-dim", 1...1 << 20, \.maxDimension, "values of one vector"),
    limit("max-k", 1...1 << 20, \.maxNeighbors, "neighbours of one query"),
    limit("max-json-depth", 4...1024, \.maxJSONDepth, "levels of nesting in a JSON body"),
    limit("max-head-bytes", 1024...1 << 20, \.maxHeadBytes, "bytes of a request line and its fields together"),
    limit("max-fields", 8...10_000, \.maxFields, "field lines of one request"),
  ]

  private static func time(
    _ name: String, _ field: Field<ServerConfiguration, Double>, _ meaning: String
  ) -> (flag: Flag<Double>, field: Field<ServerConfiguration, Double>) {
    let initial = ServerConfiguration()[keyPath: field]
    let absence = Flag<Double>.Absence.defaults(to: initial, shown: "\(Int(initial))")
    return (Flag(name, .seconds(zero: false), absence, isVariable: true, meaning), field)
  }

  private static func limit(
    _ name: String, _ range: ClosedRange<Int>, _ field: Field<Limits, Int>, _ meaning: String
  ) -> (flag: Flag<Int>, field: Field<Limits, Int>) {
    let absence = Flag<Int>.Absence.defaults(to: Limits()[keyPath: field])
    return (Flag(name, .integer(range), absence, isVariable: true, "The most \(meaning)."), field)
  }

  static let flags: [any CommandFlag] =
    [
      host, port, adminPort, modelFolders, rerankerFolder, maxSequenceLength, defaultPrompt,
    ] + Storage.flags + [
      precision, threads, loops, logFormat, accessLogging, compression, acceptTokenIds,
      maxConnections, maxConnectionsPerClient, maxRequestsPerClient, maxRequestsPerKey, maxMemoryInFlight,
      embeddingCache,
      proxyProtocol, trustedProxies,
      certificate, key, clientAuthorities,
      clientCertificates, keyFile, webOrigins,
    ]
    + times.map(\.flag) + [shutdownDelay, queueTimeout, requestTimeout] + limits.map(\.flag)

  init(_ arguments: Arguments) throws(UsageError) {
    logForm = try arguments.value(Self.logFormat) == "json" ? .json : .text
    accessLog = try arguments.value(Self.accessLogging)
    models = try arguments.value(Self.modelFolders)
    reranker = try arguments.given(Self.rerankerFolder)
    (storage, lowMemory) = try Storage.read(arguments)
    shutdownDelay = try arguments.value(Self.shutdownDelay)
    tls = try Self.tls(arguments)
    keys = try arguments.given(Self.keyFile)
    var limits = Limits()
    for (flag, field) in Self.limits { limits[keyPath: field] = try arguments.value(flag) }
    var service = ServiceConfiguration(threads: try arguments.value(Self.threads), limits: limits)

    service.precision = try arguments.value(Self.precision)
    service.maxSequenceLength = try arguments.given(Self.maxSequenceLength)
    service.defaultPrompt = try arguments.given(Self.defaultPrompt)
    service.acceptsTokenIds = try arguments.value(Self.acceptTokenIds)
    service.queueTimeout = try arguments.value(Self.queueTimeout)
    service.requestTimeout = try arguments.given(Self.requestTimeout).map(SystemClock.nanoseconds)
    service.trustedProxies = try arguments.value(Self.trustedProxies)
    service.webOrigins = try arguments.value(Self.webOrigins)
    service.compression = AnswerCompression(rawValue: try arguments.value(Self.compression)) ?? .on

    var server = ServerConfiguration(host: try arguments.value(Self.host), port: try arguments.value(Self.port))
    server.maxHeadBytes = limits.maxHeadBytes
    server.maxFields = limits.maxFields
    server.maxConnections = try arguments.value(Self.maxConnections)
    service.maxConnections = server.maxConnections
    server.maxConnectionsPerClient = try arguments.value(Self.maxConnectionsPerClient)
    service.maxRequestsPerClient = try arguments.value(Self.maxRequestsPerClient)
    service.maxRequestsPerKey = try arguments.value(Self.maxRequestsPerKey)
    guard service.maxRequestsPerKey == 0 || keys != nil else {
      throw UsageError("--max-requests-per-key needs --api-key-file")
    }
    service.embeddingCacheBytes = try arguments.value(Self.embeddingCache) << 20
    server.maxMemoryInFlight = try arguments.value(Self.maxMemoryInFlight)
    service.maxConnectionsPerClient = server.maxConnectionsPerClient
    service.maxMemoryInFlight = server.maxMemoryInFlight
    service.usable = UsableResources(cores: Usable.cores, quota: Usable.group.cores, memory: Usable.group.memory)
    server.proxyProtocol = try arguments.value(Self.proxyProtocol)
    server.loops = try arguments.value(Self.loops)
    service.loops = server.loops
    for (flag, field) in Self.times { server[keyPath: field] = try arguments.value(flag) }
    admin = try Self.admin(arguments, server)
    service.hasAdminPort = admin != nil
    self.server = server
    self.service = service
  }

  /// Few connections are needed there, and they come from operators' machines, not through the proxy that clients come through.
  private static func admin(
    _ arguments: Arguments, _ server: ServerConfiguration
  ) throws(UsageError) -> ServerConfiguration? {
    guard let port = try arguments.given(adminPort) else { return nil }
    guard port == 0 || port != server.port else { throw UsageError("--admin-port has to differ from --port") }
    var admin = server
    admin.port = port
    admin.loops = 1
    admin.maxConnections = min(server.maxConnections, 128)
    admin.maxConnectionsPerClient = 0
    admin.proxyProtocol = false
    // It is drained behind the other, when all work has been finished: only a scrape can be in flight.
    admin.drainTimeout = min(server.drainTimeout, 2)
    return admin
  }

  private static func tls(_ arguments: Arguments) throws(UsageError) -> TLSFiles? {
    let (chain, key) = (try arguments.given(certificate), try arguments.given(key))
    let authorities = try arguments.given(clientAuthorities)
    let asked = try arguments.value(clientCertificates)
    guard let chain, let key else {
      guard chain == nil, key == nil else { throw UsageError("--tls-cert and --tls-key go together") }
      guard authorities == nil else { throw UsageError("--tls-client-ca needs --tls-cert and --tls-key") }
      return nil
    }
    var files = TLSFiles(chain: chain, key: key, clientAuthorities: authorities)
    if asked == "optional" { files.clientCertificates = .optional }
    return files
  }
}
