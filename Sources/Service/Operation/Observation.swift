import HTTP1

/// What is done with every answer before it is sent: it gets the fields that all answers have, and its place in metrics and log.
struct Observation: Sendable {
  let metrics: Metrics
  let accessLog: AccessLog?

  /// What stands for the status of a request whose client has gone away before the answer, as in nginx's logs.
  private static let clientGone = 499

  /// A whole request is there, and its call begins.
  func began() { metrics.began() }

  /// - Parameter isAbandoned: the client has gone away, so that nobody will get the answer.
  /// - Returns: the answer as it is to be sent.
  func answered(
    _ exchange: Exchange, with response: Response, _ work: AnsweredWork, isAbandoned: Bool
  ) -> Response {
    let status = isAbandoned ? Self.clientGone : response.status
    metrics.ended(
      route: exchange.route, method: exchange.head?.method, status: status, nanoseconds: work.nanoseconds)
    accessLog?.note(exchange, status: status, bytesOut: isAbandoned ? 0 : response.length, work)
    return Self.completed(response, exchange, work.timings.field(total: work.nanoseconds))
  }

  /// The same for a request that was answered by its head alone, or could not be read, so that it never became a call.
  func refused(_ exchange: Exchange, with response: Response) -> Response {
    metrics.refused(route: exchange.route, method: exchange.head?.method, status: response.status)
    accessLog?.note(exchange, status: response.status, bytesOut: response.length, nil)
    return Self.completed(response, exchange, Timings().field(total: 0))
  }

  private static func completed(_ response: Response, _ exchange: Exchange, _ timing: String) -> Response {
    var response = response
    response.fields.append("X-Request-Id", exchange.requestID)
    response.fields.append("Server-Timing", timing)
    if let trace = exchange.trace { response.fields.append("traceparent", trace.field) }
    return response
  }
}

extension Response {
  /// Bytes of the body.
  fileprivate var length: Int { stream?.count ?? body.count }
}
