import HTTP1
import Synchronization

/// The access log: a line for each answered request, or for some of them. A line never has bodies, texts, keys or query strings.
public final class AccessLog: Sendable {
  /// Which requests have a line.
  public enum Selection: Sendable, Equatable {
    case all
    /// Those answered with a status from 400 on.
    case errors
    /// Each request whose number is a multiple of this, and those answered with a status from 500 on.
    case sampled(every: Int)
  }

  /// Writes a line that has these members. It must not block.
  public typealias Write = @Sendable (_ members: (inout LogText) -> Void) -> Void

  private let selection: Selection
  private let write: Write
  private let requests = Atomic(0)

  public init(_ selection: Selection, write: @escaping Write) {
    self.selection = selection
    self.write = write
  }

  /// Writes the line of a request, unless it was not selected.
  ///
  /// - Parameters:
  ///   - work: what was done for it; nil for a request that never became a call.
  func note(_ exchange: Exchange, status: Int, bytesOut: Int?, _ work: AnsweredWork?) {
    guard selects(status) else { return }
    write { line in
      line.member("request_id", plain: exchange.requestID.text)
      if let trace = exchange.trace {
        line.member("trace_id", plain: trace.traceID)
        line.member("span_id", plain: trace.spanID)
        line.member("parent_id", plain: trace.parentID)
      }
      line.member("client", Self.client(exchange))
      line.member("tls_subject", exchange.peer.certificateSubject)
      line.member("key", exchange.caller.name)
      line.member("method", exchange.head?.method.name)
      if let route = exchange.route { line.member("route", plain: route.template) }
      line.member("path", exchange.head?.path)
      line.member("status", status)
      line.member("bytes_in", work?.bytesIn ?? 0)
      if let bytesOut { line.member("bytes_out", bytesOut) }
      guard let work else { return }
      line.member("duration_ms", milliseconds: work.nanoseconds)
      for (stage, nanoseconds) in work.timings.stages { line.member(stage.logged, milliseconds: nanoseconds) }
    }
  }

  private static func client(_ exchange: Exchange) -> String? {
    // Mostly the other end of the connection, whose address is at hand as text.
    exchange.client == exchange.peer.ip ? exchange.peer.address : exchange.client?.description
  }

  private func selects(_ status: Int) -> Bool {
    switch selection {
    case .all: return true
    case .errors: return status >= 400
    case .sampled(let every):
      let number = requests.wrappingAdd(1, ordering: .relaxed).newValue
      return status >= 500 || number % max(1, every) == 0
    }
  }
}

extension AccessLog.Selection {
  /// `all`, `errors` or `sampled:N`.
  ///
  /// - Returns: nil for any other text.
  public init?(_ text: String) {
    switch text {
    case "all": self = .all
    case "errors": self = .errors
    default:
      let parts = text.split(separator: ":", omittingEmptySubsequences: false)
      guard parts.count == 2, parts[0] == "sampled", parts[1].utf8.allSatisfy({ (0x30...0x39).contains($0) }),
        let every = Int(parts[1]), (1...1_000_000_000).contains(every)
      else { return nil }
      self = .sampled(every: every)
    }
  }
}

/// What a call took, for metrics and the access log.
struct AnsweredWork: Sendable {
  /// From the last byte of the request to its answer.
  let nanoseconds: UInt64
  let timings: Timings
  /// Bytes of the request's body as they were sent.
  let bytesIn: Int
}

extension Timings.Stage {
  /// The name of its time in the access log.
  fileprivate var logged: StaticString {
    switch self {
    case .queue: "queue_ms"
    case .tokenize: "tokenize_ms"
    case .encode: "encode_ms"
    case .score: "score_ms"
    case .search: "search_ms"
    case .compress: "compress_ms"
    case .total: "total_ms"
    }
  }
}
