import Dispatch
import HTTPServer
import Platform
import SQLiteRecords
import Service
import VectorStore

/// `nearfar serve`: loads the model, listens, and runs until SIGTERM or SIGINT.
enum Serve {
  /// - Returns: the exit status: 0 after a drain, 1 when requests had to be cut off or the start failed.
  static func run(_ options: ServeOptions) -> Int32 {
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
