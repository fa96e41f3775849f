import HTTP1

/// What can be said of a request by its head alone, before a byte of its body is read.
struct Admittance: Sendable {
  let maxBodyBytes: Int

  /// Methods whose requests carry JSON here.
  private static func hasBody(_ method: HTTPMethod) -> Bool { method == .post || method == .put }

  /// nil admits the request.
  func refusal(_ head: RequestHead, _ match: Router.Match?) -> Response? {
    guard let match else {
      let style = ErrorStyle(path: head.path)
      return Problem(404, "there is no route \(head.path)").response(style)
    }
    let route = match.route
    if case .other(let name) = head.method {
      return Problem(501, "the method \(name) is not known").response(route.style)
    }
    if head.method == .options {
      return Response(status: 204, fields: HTTPFields([("Allow", route.allow)]))
    }
    guard route.action(head.method) != nil else {
      var response = Problem(405, "\(head.method.name) is not allowed here; allowed: \(route.allow)")
        .response(route.style)
      response.fields.set("Allow", route.allow)
      return response
    }
    guard Self.hasBody(head.method) else { return nil }
    return unsupportedBody(head, route.style) ?? unacceptable(head, route.style)
  }

  /// 415 with what would be accepted (RFC 9110, 15.5.16).
  private func unsupportedBody(_ head: RequestHead, _ style: ErrorStyle) -> Response? {
    if let coding = head.fields["content-encoding"], coding.lowercased() != "identity" {
      var response = Problem(415, "Content-Encoding '\(coding)' is not served by this version").response(style)
      response.fields.set("Accept-Encoding", "identity")
      response.fields.set("Accept-Post", "application/json")
      return response
    }
    guard let type = head.fields["content-type"], !Self.isJSON(type) else { return nil }
    var response = Problem(415, "Content-Type '\(type)' is not supported; send application/json").response(style)
    response.fields.set("Accept-Post", "application/json")
    return response
  }

  /// 406 when nothing that the client accepts is JSON (RFC 9110, 12.5.1).
  private func unacceptable(_ head: RequestHead, _ style: ErrorStyle) -> Response? {
    guard let accept = head.fields["accept"] else { return nil }
    let acceptable = accept.split(separator: ",").contains { range in
      let parts = range.split(separator: ";").map(Self.trimmed)
      let refused = parts.dropFirst().contains { ["q=0", "q=0.0", "q=0.00", "q=0.000"].contains($0) }
      return !refused && ["*/*", "application/*", "application/json"].contains(parts.first ?? "")
    }
    return acceptable ? nil : Problem(406, "the answer is application/json, which Accept excludes").response(style)
  }

  private static func isJSON(_ type: String) -> Bool {
    trimmed(type.split(separator: ";", omittingEmptySubsequences: false).first ?? "") == "application/json"
  }

  /// Without surrounding spaces and tabs (OWS), in lower case.
  private static func trimmed(_ text: Substring) -> String {
    var text = text
    while let first = text.utf8.first, first == 0x20 || first == 0x09 { text.removeFirst() }
    while let last = text.utf8.last, last == 0x20 || last == 0x09 { text.removeLast() }
    return text.lowercased()
  }
}
