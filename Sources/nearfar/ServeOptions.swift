import HTTPServer
import SQLiteRecords
import Service

/// Everything that `nearfar serve` can be told.
struct ServeOptions {
  let model: String
  let server: ServerConfiguration
  let service: ServiceConfiguration
  let data: DataLocation
  let lowMemory: Bool
  let log: Log

  static let switches = ["low-memory"]
  static let flags = [
    "host", "port", "model", "data", "low-memory", "precision", "threads", "api-key-file", "tls-cert", "tls-key",
    "max-body-bytes",
    "max-connections", "idle-timeout", "drain-timeout", "log-format", "max-inputs", "max-input-chars", "max-dim",
    "max-k", "max-json-depth", "max-head-bytes", "max-fields",
  ]

  init(_ options: Options) throws(UsageError) {
    model = options.string("model") ?? "models/all-MiniLM-L6-v2"
    log = Log(json: try options.choice("log-format", of: ["text", "json"]) == "json")
    for flag in ["api-key-file", "tls-cert", "tls-key"] { try options.refuse(flag) }
    let folder = options.string("data") ?? ":memory:"
    guard !folder.isEmpty else { throw UsageError(description: "--data must be a folder or :memory:") }
    data = folder == ":memory:" ? .memory : .folder(folder)
    lowMemory = try options.choice("low-memory", of: ["false", "true"]) == "true"
    guard !lowMemory || data != .memory else {
      throw UsageError(description: "--low-memory keeps vectors in a file and needs --data DIR")
    }
    let precision = try options.choice("precision", of: ["auto", "f32", "bf16", "int8"])
    guard ["auto", "f32"].contains(precision) else {
      throw UsageError(description: "--precision '\(precision)' is not served by this version; f32 is")
    }

    var limits = Limits()
    let large = 1...1 << 40
    limits.maxBodyBytes = try options.integer("max-body-bytes", default: limits.maxBodyBytes, in: large)
    limits.maxInputs = try options.integer("max-inputs", default: limits.maxInputs, in: large)
    limits.maxCharacters = try options.integer("max-input-chars", default: limits.maxCharacters, in: large)
    limits.maxDimension = try options.integer("max-dim", default: limits.maxDimension, in: 1...1 << 20)
    limits.maxNeighbors = try options.integer("max-k", default: limits.maxNeighbors, in: 1...1 << 20)
    limits.maxJSONDepth = try options.integer("max-json-depth", default: limits.maxJSONDepth, in: 4...1024)
    limits.maxHeadBytes = try options.integer("max-head-bytes", default: limits.maxHeadBytes, in: 1024...1 << 20)
    limits.maxFields = try options.integer("max-fields", default: limits.maxFields, in: 8...10_000)

    service = ServiceConfiguration(
      threads: try options.integer("threads", default: UsableCores.count, in: 1...1024), limits: limits)

    var server = ServerConfiguration(
      host: options.string("host") ?? "127.0.0.1", port: try options.integer("port", default: 8080, in: 0...65_535))
    server.maxHeadBytes = limits.maxHeadBytes
    server.maxFields = limits.maxFields
    server.maxConnections = try options.integer("max-connections", default: server.maxConnections, in: 1...1 << 20)
    server.idleTimeout = try options.seconds("idle-timeout", default: server.idleTimeout)
    server.drainTimeout = try options.seconds("drain-timeout", default: server.drainTimeout)
    self.server = server
  }
}
