import HTTP1
import Synchronization

/// What is counted of every request, under OpenTelemetry's names (semantic conventions for HTTP, as Prometheus writes them).
///
/// Routes have numbers and methods few names, so that counting a request looks nothing up and makes no series that a client could
/// choose.
final class HTTPMetrics: Sendable {
  /// A method as a label. All that the service does not know are one.
  private enum Method: Int, CaseIterable {
    case get, head, post, put, patch, delete, options, other

    init(_ method: HTTPMethod?) {
      switch method {
      case .get: self = .get
      case .head: self = .head
      case .post: self = .post
      case .put: self = .put
      case .patch: self = .patch
      case .delete: self = .delete
      case .options: self = .options
      default: self = .other
      }
    }

    var hasBody: Bool { self == .post || self == .put || self == .patch }

    var label: String { self == .other ? "_OTHER" : "\(self)".uppercased() }
  }

  private struct Answers {
    let method: Method
    let status: Int
    var durations = Histogram(Histogram.durations)
  }

  private struct Bodies {
    let method: Method
    var requests = Histogram(Histogram.sizes)
    var answers = Histogram(Histogram.sizes)
  }

  /// The requests of one route. A route has few methods and statuses, so that searching them is faster than hashing.
  private final class Requests: Sendable {
    struct State {
      var answers: [Answers] = []
      var bodies: [Bodies] = []
    }

    let state = Mutex(State())
  }

  private final class Count: Sendable {
    let value = Atomic(0)
  }

  /// The template of each route; the first is for requests that have none.
  private let routes: [String?]
  private let requests: [Requests]
  private let active = Method.allCases.map { _ in Count() }

  /// What the service has is shown from the start, so that a rate counts the first request as well: successes of every method, and sizes
  /// of bodies of those methods that have one.
  init(_ names: RouteNames) {
    routes = [nil] + names.templates
    requests = routes.map { _ in Requests() }
    for (number, method) in names.methods {
      requests[number].state.withLock { state in
        let method = Method(method)
        state.answers.append(Answers(method: method, status: 200))
        if method.hasBody { state.bodies.append(Bodies(method: method)) }
      }
    }
  }

  /// A whole request has come.
  func began(_ method: HTTPMethod) { active[Method(method).rawValue].value.wrappingAdd(1, ordering: .relaxed) }

  /// A request that had begun is answered.
  func ended(_ exchange: Exchange, status: Int, bytesOut: Int?, _ work: AnsweredWork) {
    active[Method(exchange.head?.method).rawValue].value.wrappingSubtract(1, ordering: .relaxed)
    add(exchange, status: status, bytesIn: work.bytesIn, bytesOut: bytesOut, nanoseconds: work.nanoseconds)
  }

  /// A request is answered, or refused, that never became a call. It took no time, and its body was not read as a whole.
  func refused(_ exchange: Exchange, status: Int, bytesOut: Int?) {
    add(exchange, status: status, bytesIn: nil, bytesOut: bytesOut, nanoseconds: 0)
  }

  private func add(_ exchange: Exchange, status: Int, bytesIn: Int?, bytesOut: Int?, nanoseconds: UInt64) {
    let method = Method(exchange.head?.method)
    requests[exchange.route?.number ?? 0].state.withLock { state in
      var answers = state.answers.count
      for index in state.answers.indices where state.answers[index].method == method {
        if state.answers[index].status == status { answers = index }
      }
      if answers == state.answers.count { state.answers.append(Answers(method: method, status: status)) }
      state.answers[answers].durations.add(Double(nanoseconds) / 1e9)
      let bodies = state.bodies.firstIndex { $0.method == method } ?? state.bodies.count
      if bodies == state.bodies.count { state.bodies.append(Bodies(method: method)) }
      if let bytesIn, method.hasBody { state.bodies[bodies].requests.add(Double(bytesIn)) }
      if let bytesOut { state.bodies[bodies].answers.add(Double(bytesOut)) }
    }
  }

  func write(to text: inout MetricsText) {
    // Copies are written, so that nobody waits for a lock meanwhile.
    let states = zip(routes, requests.map { $0.state.withLock { $0 } })
    let duration = "http_server_request_duration_seconds"
    text.family(
      duration, "histogram",
      "From the last byte of a request to its answer; 0 for one that was answered by its head, as probes are, or could not be read."
    )
    for (route, state) in states {
      for answers in state.answers {
        text.histogram(
          duration, Self.labels(route, answers.method) + [("http_response_status_code", "\(answers.status)")],
          answers.durations)
      }
    }
    text.family("http_server_active_requests", "gauge", "Requests that have been read and not answered.")
    for (method, count) in zip(Method.allCases, active) {
      text.sample(
        "http_server_active_requests", [("http_request_method", method.label)],
        Double(count.value.load(ordering: .relaxed)))
    }
    for (name, help, sizes) in [
      ("http_server_request_body_size_bytes", "Bodies of requests as they were sent.", \Bodies.requests),
      ("http_server_response_body_size_bytes", "Bodies of answers as they were sent.", \Bodies.answers),
    ] {
      text.family(name, "histogram", help)
      for (route, state) in states {
        for bodies in state.bodies {
          let sizes = bodies[keyPath: sizes]
          if bodies.method.hasBody || sizes.sum > 0 { text.histogram(name, Self.labels(route, bodies.method), sizes) }
        }
      }
    }
  }

  private static func labels(_ route: String?, _ method: Method) -> [(String, String)] {
    [("http_request_method", method.label)] + (route.map { [("http_route", $0)] } ?? [])
  }
}
