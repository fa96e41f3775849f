import HTTP1

/// What can be said of a request by its head alone, before a byte of its body is read.
struct Admittance: Sendable {
  let router: Router
  let origins: WebOrigins
  /// What is said of a path that has no route.
  var unknown: @Sendable (_ path: String) -> Problem = Problem.noRoute

  /// The answer to a request that is not let in; nil admits it, which it does only when `match` has an action.
  func refusal(_ head: RequestHead, _ match: Router.Match?, _ caller: Caller) -> Response? {
    if head.method == .options, match != nil || head.isForWholeServer {
      let allow = router.allow(head)
      return Response(status: 204, fields: HTTPFields([("Allow", allow)] + origins.preflight(head, allow: allow)))
    }
    if let problem = origins.refusal(head) { return problem.response(ErrorStyle(path: head.path)) }
    // Before anything is said of the path.
    if let problem = caller.refusal(match?.needs ?? .key) { return problem.response(ErrorStyle(path: head.path)) }
    guard let match else {
      return unknown(head.path).response(ErrorStyle(path: head.path))
    }
    let route = match.route
    if case .other(let name) = head.method {
      return Problem(501, "the method \(name) is not known").response(route.style)
    }
    guard let action = match.action else {
      let allow = router.allow(head)
      var response = Problem(405, "\(head.method.name) is not allowed here; allowed: \(allow)").response(route.style)
      response.fields.set("Allow", allow)
      return response
    }
    guard Self.hasBody(action.method) else { return nil }
    if let text = head.fields[RequestTimeout.field], RequestTimeout.nanoseconds(text) == nil {
      return Problem.invalid("X-Request-Timeout-Ms", "must be a whole number from 1 to 86400000").response(route.style)
    }
    return unsupportedBody(head, route) ?? unacceptable(head, route)
  }

  /// Methods whose requests carry JSON or safetensors here.
  private static func hasBody(_ method: HTTPMethod) -> Bool { method == .post || method == .put || method == .patch }

  /// 415 with what would be accepted (RFC 9110, 15.5.16).
  private func unsupportedBody(_ head: RequestHead, _ route: Route) -> Response? {
    // Not made before it is needed.
    var accepted: String { route.takes.map(\.rawValue).joined(separator: ", ") }
    if let coding = head.fields["content-encoding"], ContentCoding(contentEncoding: coding) == nil {
      var response = Problem(415, "Content-Encoding '\(coding)' is not supported; send gzip or none")
        .response(route.style)
      response.fields.set("Accept-Encoding", "gzip")
      response.fields.set("Accept-Post", accepted)
      return response
    }
    // Ollama reads every body as JSON, and its documentation sends them by `curl --data`, which calls them forms. What
    // another web page sends that way, without asking, has been refused by its Origin.
    guard route.style != .ollama, let type = head.fields["content-type"] else { return nil }
    if let known = MediaType(contentType: type), route.takes.contains(known) { return nil }
    var response = Problem(415, "Content-Type '\(type)' is not supported; send \(accepted)").response(route.style)
    response.fields.set("Accept-Post", accepted)
    return response
  }

  /// 406 when the client accepts nothing that the route gives (RFC 9110, 12.5.1).
  private func unacceptable(_ head: RequestHead, _ route: Route) -> Response? {
    let accept = head.fields["accept"]
    guard MediaType.preferred(of: route.gives, accept: accept) == nil else { return nil }
    let given = route.gives.map(\.rawValue).joined(separator: " or ")
    return Problem(406, "the answer is \(given), which Accept excludes").response(route.style)
  }
}
