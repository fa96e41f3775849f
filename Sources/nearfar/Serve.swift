import Dispatch
import HTTPServer
import Platform
import SQLiteRecords
import Service
import VectorStore

/// `nearfar serve`: loads the model, listens, and runs until SIGTERM or SIGINT.
enum ServeCommand: Command {
  static let name = "serve"
  static let summary = "run the service until SIGTERM or SIGINT"
  static let details = """
    Loads the model, listens and serves. One line on standard output, "nearfar ready http://ADDRESS:PORT", says that \
    requests are answered; the log goes to standard error. After SIGTERM or SIGINT requests in flight are finished.

    Each flag is also an environment variable; the command line wins. The exit status is 0 when every request was \
    finished, 1 when the start failed or requests were cut off at the drain timeout, and 2 when the call is wrong.
    """
  static let flags: [any CommandFlag] = ServeOptions.flags
  static let unavailable = ServeOptions.unavailable

  static func run(_ arguments: Arguments) throws(UsageError) -> Int32 { serve(try ServeOptions(arguments)) }

  private static func serve(_ options: ServeOptions) -> Int32 {
    let log = options.log
    // Heard from the first moment: as process 1 of a container, a signal without a handler would be lost.
    let termination = Termination { log.info($0) }
    let service: Service
    let server: HTTPServer
    let store: CollectionStore
    do {
      log.info(
        options.data == .memory
          ? "collections are in memory: nothing is kept (--data DIR keeps them)"
          : "collections are kept in \(options.data)")
      store = try CollectionStore(
        records: try SQLiteRecords.open(options.data, progress: log.info), threads: options.service.threads,
        lowMemory: options.lowMemory, progress: log.info)
    } catch {
      log.error("cannot start: --data: \(error)")
      return 1
    }
    // Whatever ends the run: the log is folded into the database, so that the next start is quick.
    defer { store.close() }
    do {
      log.info("loading the model from \(options.model)")
      service = try Service(model: options.model, store: store, configuration: options.service)
    } catch let error as StoreError {
      log.error("cannot start: --data \(options.data): \(error)")
      return 1
    } catch {
      log.error("cannot start: --model \(options.model): \(error)")
      return 1
    }
    do {
      server = try HTTPServer(configuration: options.server, handler: service)
    } catch {
      log.error("cannot start: --host, --port: \(error)")
      return 1
    }
    service.observe { write(server.statistics, to: &$0) }
    termination.whenAsked {
      service.beginDraining()
      server.drain()
    }

    let host = options.server.host.contains(":") ? "[\(options.server.host)]" : options.server.host
    print("nearfar ready http://\(host):\(server.port)")
    fflush(nil)
    do {
      let drained = try server.run()
      log.info(drained ? "stopped" : "stopped; requests were cut off at the drain timeout")
      return drained ? 0 : 1
    } catch {
      log.error("\(error)")
      return 1
    }
  }

  private static func write(_ statistics: ServerStatistics, to text: inout MetricsText) {
    for (name, type, help, value) in [
      ("nearfar_connections_open", "gauge", "Connections open now.", statistics.connectionsOpen),
      ("nearfar_connections_accepted_total", "counter", "Connections accepted.", statistics.connectionsAccepted),
      ("nearfar_connections_rejected_total", "counter", "Connections refused.", statistics.connectionsRejected),
      ("nearfar_bytes_received_total", "counter", "Bytes received.", statistics.bytesReceived),
      ("nearfar_bytes_sent_total", "counter", "Bytes sent.", statistics.bytesSent),
    ] {
      text.family(name, type, help)
      text.sample(name, [], Double(value))
    }
  }
}

/// Everything that `nearfar serve` can be told.
struct ServeOptions {
  let model: String
  let server: ServerConfiguration
  let service: ServiceConfiguration
  let data: DataLocation
  let lowMemory: Bool
  let log: Log

  private typealias Field<Root, Value> = WritableKeyPath<Root, Value> & Sendable

  /// Also read by `nearfar health`, from the environment.
  static let port = Flag(
    "port", .integer(0...65_535), .defaults(to: ServerConfiguration().port), isVariable: true,
    "The port to listen on; 0 takes a free one.")
  private static let host = Flag(
    "host", .text("ADDRESS"), .defaults(to: ServerConfiguration().host), isVariable: true,
    "The address to listen on, or a name that resolves to it.")
  private static let modelFolder = Flag(
    "model", .text("DIR"), .defaults(to: "models/all-MiniLM-L6-v2"), isVariable: true,
    "The folder of the encoder, in the layout of Hugging Face.")
  private static let dataFolder = Flag(
    "data", .text("DIR"), .defaults(to: ":memory:"), isVariable: true,
    "The folder that keeps collections, for one writing process at a time; :memory: keeps nothing.")
  private static let isLowMemory = Flag(
    "low-memory", .standingAlone, .defaults(to: false), isVariable: true,
    "Vectors stay in a mapped file of the data folder instead of memory; codes and graphs stay in memory.")
  private static let precision = Flag(
    "precision", .choice(["auto", "f32"]), .defaults(to: "auto"), isVariable: true,
    "The number format in which the encoder computes.")
  private static let threads = UsableCores.threads(
    isVariable: true, "Work queues, and so requests that compute at the same time.")
  private static let logFormat = Flag(
    "log-format", .choice(["text", "json"]), .defaults(to: "text"), isVariable: true,
    "The form of the lines on standard error.")

  private static let maxConnections = Flag(
    "max-connections", .integer(1...1 << 20), .defaults(to: ServerConfiguration().maxConnections), isVariable: true,
    "Connections served at once; further ones are answered 503.")
  private static let times: [(flag: Flag<Double>, field: Field<ServerConfiguration, Double>)] = [
    time("idle-timeout", \.idleTimeout, "How long a connection may wait for its first or next request."),
    time("drain-timeout", \.drainTimeout, "How long requests in flight may take after SIGTERM."),
  ]
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
    [host, port, modelFolder, dataFolder, isLowMemory, precision, threads, logFormat, maxConnections]
    + times.map(\.flag) + limits.map(\.flag)

  /// Without one of these a service would be open, or would forget, against what its operator asked for.
  static let unavailable = ["api-key-file", "tls-cert", "tls-key", "cors-origin", "store"]

  init(_ arguments: Arguments) throws(UsageError) {
    log = Log(json: try arguments.value(Self.logFormat) == "json")
    model = try arguments.value(Self.modelFolder)
    let folder = try arguments.value(Self.dataFolder)
    data = folder == ":memory:" ? .memory : .folder(folder)
    lowMemory = try arguments.value(Self.isLowMemory)
    guard !lowMemory || data != .memory else {
      throw UsageError("--low-memory keeps vectors in a file and needs --data DIR")
    }
    // Both choices are f32 in this version.
    _ = try arguments.value(Self.precision)

    var limits = Limits()
    for (flag, field) in Self.limits { limits[keyPath: field] = try arguments.value(flag) }
    var service = ServiceConfiguration(threads: try arguments.value(Self.threads), limits: limits)

    var server = ServerConfiguration(host: try arguments.value(Self.host), port: try arguments.value(Self.port))
    server.maxHeadBytes = limits.maxHeadBytes
    server.maxFields = limits.maxFields
    server.maxConnections = try arguments.value(Self.maxConnections)
    service.maxConnections = server.maxConnections
    for (flag, field) in Self.times { server[keyPath: field] = try arguments.value(flag) }
    self.server = server
    self.service = service
  }
}
