import HTTP1

/// What a route does for one method.
final class Action: Sendable {
  let method: HTTPMethod
  /// Answered on the event loop: it must not block.
  let isImmediate: Bool
  /// Where the head is all that the answer depends on, what makes it; such a request never becomes a call.
  let probe: (@Sendable () -> Response)?
  /// What most of its work is, as far as the route tells.
  let work: Work
  /// What callers need for it, where the service has keys.
  let needs: Requirement
  let run: @Sendable (Call) throws -> Void

  private init(
    _ method: HTTPMethod, isImmediate: Bool, work: Work, needs: Requirement, probe: (@Sendable () -> Response)? = nil,
    _ run: @escaping @Sendable (Call) throws -> Void
  ) {
    self.method = method
    self.probe = probe
    self.isImmediate = isImmediate
    self.work = work
    self.needs = needs
    self.run = run
  }

  enum Work: Sendable {
    case encode
    /// Products that use all cores, where the request is large.
    case wide
    /// What operators ask, also of a service that is busy or draining.
    case operation
    case other
  }

  /// Work for the queues.
  static func queued(
    _ method: HTTPMethod, work: Work = .other, needs: Requirement? = nil,
    _ run: @escaping @Sendable (Call) throws -> Void
  ) -> Action {
    Action(method, isImmediate: false, work: work, needs: needs ?? .right(usual(method)), run)
  }

  /// An answer that is there at once.
  static func immediate(
    _ method: HTTPMethod, needs: Requirement, _ run: @escaping @Sendable (Call) throws -> Void
  ) -> Action {
    Action(method, isImmediate: true, work: .other, needs: needs, run)
  }

  /// The answer to those who only ask whether the service is there.
  static func probe(_ answer: @escaping @Sendable () -> Response) -> Action {
    Action(.get, isImmediate: true, work: .other, needs: .nothing, probe: answer) { $0.answer(answer()) }
  }

  /// POST asks for something, unless its action says otherwise.
  private static func usual(_ method: HTTPMethod) -> Right {
    switch method {
    case .put, .patch, .delete: .write
    default: .read
    }
  }
}

/// One path of the interface with its methods.
final class Route: Sendable {
  /// `/collections/{name}/points`.
  let template: String
  /// The number of its template, from 1 on; routes with one template share it.
  let number: Int
  let style: ErrorStyle
  let actions: [Action]
  /// Formats of request bodies, and of answers to requests with a body; the first is the default.
  let takes: [MediaType]
  let gives: [MediaType]
  private let segments: [Segment]

  private enum Segment: Sendable {
    case fixed(String)
    case captured
  }

  init(_ template: String, takes: [MediaType] = [.json], gives: [MediaType] = [.json], _ actions: Action...) {
    number = 0
    self.template = template
    self.takes = takes
    self.gives = gives
    self.actions = actions
    style = ErrorStyle(path: template)
    segments = template.split(separator: "/").map { $0.hasPrefix("{") ? .captured : .fixed(String($0)) }
  }

  /// The same route under a number.
  private init(_ route: Route, number: Int) {
    self.number = number
    (template, style, actions) = (route.template, route.style, route.actions)
    (takes, gives, segments) = (route.takes, route.gives, route.segments)
  }

  fileprivate func numbered(_ number: Int) -> Route { Route(self, number: number) }

  fileprivate var isFixed: Bool { !template.contains("{") }

  /// The captured segments, or nil when the path is another.
  fileprivate func capture(_ path: [String]) -> [String]? {
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
  fileprivate func action(_ method: HTTPMethod) -> Action? {
    let wanted: HTTPMethod = method == .head ? .get : method
    return actions.first { $0.method == wanted }
  }
}

/// The routes of all ports, by numbers.
struct RouteNames: Sendable {
  /// Each template once; number 1 is the first.
  private(set) var templates: [String] = []
  /// What there is, by the numbers of routes.
  private(set) var methods: [(number: Int, method: HTTPMethod)] = []

  init(_ routes: [Route]) {
    for route in routes {
      if !templates.contains(route.template) { templates.append(route.template) }
      let number = number(of: route.template)
      for action in route.actions { methods.append((number, action.method)) }
    }
  }

  /// 0 for a template that is not among them.
  func number(of template: String) -> Int { templates.firstIndex(of: template).map { $0 + 1 } ?? 0 }
}

/// Finds the route of a request.
struct Router: Sendable {
  /// A path of the interface, and what it does for the request's method.
  struct Match: Sendable {
    let route: Route
    /// nil when the path has nothing for the method.
    let action: Action?
    /// Captured segments, decoded: a collection's name, a point's id.
    let parameters: [String]

    /// Where a path has nothing for the method, only callers that may use it learn what it has.
    var needs: Requirement {
      action?.needs ?? (route.actions.allSatisfy { $0.needs == .nothing } ? .nothing : .key)
    }
  }

  /// Paths without captured segments. They are so few that comparing lengths finds one sooner than hashing.
  private var fixed: [(path: [UInt8], route: Route)] = []
  private var templates: [Route] = []

  /// - Parameter names: of these routes, and maybe of others.
  init(_ routes: [Route], _ names: RouteNames) {
    for route in routes {
      let route = route.numbered(names.number(of: route.template))
      if route.isFixed { fixed.append((Array(route.template.utf8), route)) } else { templates.append(route) }
    }
  }

  /// Several templates may fit one path: `/points/delete` is an operation for POST and a point's id for GET. The first that has
  /// something for the method is taken, so no id collides with an operation.
  ///
  /// - Returns: nil when there is no such path.
  func match(_ head: RequestHead) -> Match? {
    if let route = fixed(head) { return Match(route: route, action: route.action(head.method), parameters: []) }
    let segments = head.pathSegments
    var withoutAction: Match?
    for route in templates {
      guard let parameters = route.capture(segments) else { continue }
      let match = Match(route: route, action: route.action(head.method), parameters: parameters)
      if match.action != nil { return match }
      withoutAction = withoutAction ?? match
    }
    return withoutAction
  }

  private func fixed(_ head: RequestHead) -> Route? {
    for (path, route) in fixed where head.isPath(path) { return route }
    return nil
  }

  /// The value of an `Allow` field: the methods of the path's most specific template, or for `*` those of the whole service
  /// (RFC 9110, 9.3.7).
  func allow(_ head: RequestHead) -> String {
    let fitting: [Route]
    if head.isForWholeServer {
      fitting = fixed.map(\.route) + templates
    } else if let route = fixed(head) {
      fitting = [route]
    } else {
      let segments = head.pathSegments
      let first = templates.first { $0.capture(segments) != nil }
      fitting = templates.filter { $0.template == first?.template }
    }
    let methods = Set(fitting.flatMap(\.actions).map(\.method.name))
    let names = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"].filter {
      methods.contains($0) || ($0 == "HEAD" && methods.contains("GET"))
    }
    return (names + ["OPTIONS"]).joined(separator: ", ")
  }
}
