import HTTP1

/// What is done with every answer before it is sent: it gets the fields that all answers have, and its place in the metrics.
struct Observation: Sendable {
  let metrics: Metrics
  /// nil where the service has no keys.
  let keys: KeyMetrics?
  let origins: WebOrigins

  /// A whole request is there, and its call begins.
  func began() { metrics.began() }

  /// - Parameter nanoseconds: from the last byte of the request to its answer.
  /// - Returns: the answer as it is to be sent.
  func answered(
    _ exchange: Exchange, with response: Response, timings: Timings, nanoseconds: UInt64
  ) -> Response {
    keys?.answered(exchange.caller, status: response.status)
    metrics.ended(
      route: exchange.route, method: exchange.head?.method, status: response.status, nanoseconds: nanoseconds)
    return completed(response, exchange, timings.field(total: nanoseconds))
  }

  /// The same for a request that was answered by its head alone, or could not be read, so that it never became a call.
  func refused(_ exchange: Exchange, with response: Response) -> Response {
    keys?.answered(exchange.caller, status: response.status)
    metrics.refused(route: exchange.route, method: exchange.head?.method, status: response.status)
    return completed(response, exchange, Timings().field(total: 0))
  }

  private func completed(_ response: Response, _ exchange: Exchange, _ timing: String) -> Response {
    var response = response
    response.fields.append("X-Request-Id", exchange.requestID)
    response.fields.append("Server-Timing", timing)
    origins.complete(&response.fields, for: exchange.head)
    return response
  }
}
