import HTTP1

/// What a route does for one method.
struct Action: Sendable {
  /// Answered on the event loop: it must not block.
  let isImmediate: Bool
  let run: @Sendable (Call) throws -> Void

  /// Work for the queues.
  static func queued(_ run: @escaping @Sendable (Call) throws -> Void) -> Action {
    Action(isImmediate: false, run: run)
  }

  /// An answer that is there at once.
  static func immediate(_ run: @escaping @Sendable (Call) throws -> Void) -> Action {
    Action(isImmediate: true, run: run)
  }
}

/// One path of the interface with its methods.
struct Route: Sendable {
  /// `/collections/{name}/points`.
  let template: String
  let style: ErrorStyle
  let actions: [(method: HTTPMethod, action: Action)]
  /// Formats of request bodies and of answers to them; the first is the default.
  let takes: [MediaType]
  let gives: [MediaType]
  private let segments: [Segment]

  private enum Segment: Sendable {
    case fixed(String)
    case captured
  }

  init(
    template: String, actions: [(method: HTTPMethod, action: Action)], takes: [MediaType] = [.json],
    gives: [MediaType] = [.json]
  ) {
    self.takes = takes
    self.gives = gives
    self.template = template
    self.actions = actions
    style = ErrorStyle(path: template)
    segments = template.split(separator: "/").map {
      $0.hasPrefix("{") ? .captured : .fixed(String($0))
    }
  }

  var isFixed: Bool { !template.contains("{") }

  /// The captured segments, or nil when the path is another.
  func capture(_ path: [String]) -> [String]? {
    guard path.count == segments.count else { return nil }
    var captured: [String] = []
    for (segment, part) in zip(segments, path) {
      switch segment {
      case .fixed(let name): if name != part { return nil }
      case .captured: captured.append(part)
      }
    }
    return captured
  }

  /// GET answers HEAD as well (RFC 9110, 9.3.2).
  func action(_ method: HTTPMethod) -> Action? {
    let wanted: HTTPMethod = method == .head ? .get : method
    return actions.first { $0.method == wanted }?.action
  }

  /// The `Allow` field.
  var allow: String {
    var names = actions.map(\.method.name)
    if names.contains("GET") { names.append("HEAD") }
    return (names + ["OPTIONS"]).joined(separator: ", ")
  }
}

/// Finds the route of a path.
struct Router: Sendable {
  struct Match: Sendable {
    let route: Route
    /// Captured segments, decoded.
    let parameters: [String]
  }

  private var fixed: [String: Route] = [:]
  private var templates: [Route] = []

  init(_ routes: [Route]) {
    for route in routes {
      if route.isFixed { fixed[route.template] = route } else { templates.append(route) }
    }
  }

  func match(_ head: RequestHead) -> Match? {
    if let route = fixed[head.path] { return Match(route: route, parameters: []) }
    let segments = head.pathSegments
    for route in templates {
      if let parameters = route.capture(segments) { return Match(route: route, parameters: parameters) }
    }
    return nil
  }
}
