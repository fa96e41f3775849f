import Dispatch
import HTTPServer
import Platform
import Service
import Synchronization
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

  static func run(_ arguments: Arguments) throws(UsageError) -> Int32 { serve(try ServeOptions(arguments)) }

  private static func serve(_ options: ServeOptions) -> Int32 {
    let lines = LogWriter(options.logForm)
    let log = Log(options.logForm, lines)
    // What is left of the log is written before the process ends, unless nobody reads it.
    defer { lines.flush(seconds: 1) }
    // Heard from the first moment: as process 1 of a container, a signal without a handler would be lost.
    let termination = Termination {
      log.info($0)
      lines.flush(seconds: 0.1)
    }
    let service: Service
    let server: HTTPServer
    let admin: AdminServer?
    let store: CollectionStore
    let identity: TLSIdentity?
    let keys: APIKeys?
    do {
      identity = try options.tls.map { files throws(ServerError) in try TLSIdentity(files) }
    } catch {
      log.error("cannot start: \(error)")
      return 1
    }
    do {
      keys = try options.keys.map { file throws(KeyFileError) in try APIKeys(file: file) }
    } catch {
      log.error("cannot start: --api-key-file: \(error)")
      return 1
    }
    for warning in keys?.warnings ?? [] { log.warning(warning) }
    do {
      store = try CollectionStore(
        records: try options.storage.open(log), threads: options.service.threads, lowMemory: options.lowMemory,
        progress: log.info)
    } catch {
      log.error("cannot start: \(options.storage.flag): \(error)")
      return 1
    }
    // Whatever ends the run: the log is folded into the database, so that the next start is quick.
    defer { store.close() }
    do {
      for source in options.models { log.info("loading the model from \(source.folder)") }
      if let folder = options.reranker { log.info("loading the reranker from \(folder)") }
      var configuration = options.service
      configuration.accessLog = options.accessLog.map { AccessLog($0) { lines.write(request: $0) } }
      configuration.keys = keys
      let models = try LoadedModels(options.models, reranker: options.reranker, configuration)
      for line in models.precisions { log.info(line) }
      service = try Service(models, store: store, configuration: configuration)
    } catch let error as LoadedModels.Failure {
      log.error("cannot start: \(error)")
      return 1
    } catch {
      log.error("cannot start: \(options.storage.flag): \(store.location): \(error)")
      return 1
    }
    do {
      server = try HTTPServer(configuration: options.server, handler: service, identity: identity)
    } catch {
      log.error("cannot start: --host, --port: \(error)")
      return 1
    }
    do {
      admin = try options.admin.map { configuration throws(ServerError) in
        try AdminServer(configuration, service: service, identity: identity, log: log)
      }
    } catch {
      log.error("cannot start: --host, --admin-port: \(error)")
      return 1
    }
    service.observe { text in
      ServerMetrics(statistics: server.statistics, identity: identity).write(to: &text)
      text.family(
        "nearfar_log_lines_dropped_total", "counter",
        "Lines of the log that nobody read in time or that could not be written.")
      text.sample("nearfar_log_lines_dropped_total", [], Double(lines.linesDropped))
    }
    store.startFollowing()
    let reloading = Reloading(log, sources(identity, keys, log))
    let isAsked = Atomic(false)
    termination.whenAsked {
      service.announceEnd()
      @Sendable func drain() {
        service.beginDraining()
        server.drain()
      }
      // A second signal ends the delay.
      guard options.shutdownDelay > 0, !isAsked.exchange(true, ordering: .relaxed) else { return drain() }
      DispatchQueue.global().asyncAfter(deadline: .now() + options.shutdownDelay) { drain() }
    }

    admin?.start()
    defer { admin?.stop() }
    // Who waits for the line on standard output finds in the log what was said before it.
    lines.flush(seconds: 0.1)
    print(
      "nearfar ready \(AdminServer.url(options.server.host, port: server.port, isSecure: identity != nil))")
    fflush(nil)
    do {
      let drained = try withExtendedLifetime(reloading) { try server.run() }
      log.info(drained ? "stopped" : "stopped; requests were cut off at the drain timeout")
      return drained ? 0 : 1
    } catch {
      log.error("\(error)")
      return 1
    }
  }

  /// What is read anew when its files change.
  private static func sources(_ identity: TLSIdentity?, _ keys: APIKeys?, _ log: Log) -> [Reloading.Source] {
    var sources: [Reloading.Source] = []
    if let identity { sources.append(("certificate", identity.reload)) }
    if let keys {
      sources.append(
        (
          "file of API keys",
          { isAsked in
            guard try keys.reload(isAsked: isAsked) else { return false }
            for warning in keys.warnings { log.warning(warning) }
            return true
          }
        ))
    }
    return sources
  }
}
