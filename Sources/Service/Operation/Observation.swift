import HTTP1

/// What is done with every answer before it is sent: it gets the fields that all answers have, and its place in metrics and log.
struct Observation: Sendable {
  let http: HTTPMetrics
  let metrics: Metrics
  let accessLog: AccessLog?
  /// nil where the service has no keys.
  let keys: KeyMetrics?
  let origins: WebOrigins

  /// A whole request is there, and its call begins.
  func began(_ head: RequestHead) { http.began(head.method) }

  /// A request is not served although nothing is wrong with it.
  func rejected(_ problem: Problem) {
    if let reason = problem.rejection { metrics.rejected(reason) }
  }

  /// - Parameter isAbandoned: the client has gone away, so that nobody will get the answer.
  /// - Returns: the answer as it is to be sent.
  func answered(
    _ exchange: Exchange, with response: Response, _ work: AnsweredWork, isAbandoned: Bool
  ) -> Response {
    let status = isAbandoned ? RequestFailure.clientGone : response.status
    let bytesOut = isAbandoned ? 0 : Self.bodyBytes(of: response, exchange)
    http.ended(exchange, status: status, bytesOut: bytesOut, work)
    keys?.answered(exchange.caller, status: status)
    accessLog?.note(exchange, status: status, bytesOut: bytesOut, work)
    return completed(response, exchange) {
      $0.append("Server-Timing", work.timings.field(total: work.nanoseconds))
    }
  }

  /// The same for a request that is answered by its head, since nothing more is needed.
  func probed(_ exchange: Exchange, with response: Response) -> Response {
    answeredByHead(exchange, with: response, AnsweredWork(nanoseconds: 0, timings: Timings(), bytesIn: 0))
  }

  /// The same for a request that was refused by its head, or could not be read, so that it never became a call.
  func refused(_ exchange: Exchange, with response: Response) -> Response {
    answeredByHead(exchange, with: response, nil)
  }

  private func answeredByHead(_ exchange: Exchange, with response: Response, _ work: AnsweredWork?) -> Response {
    let isLost = response.status == RequestFailure.clientGone
    let bytesOut = isLost ? 0 : Self.bodyBytes(of: response, exchange)
    http.refused(exchange, status: response.status, bytesOut: bytesOut)
    keys?.answered(exchange.caller, status: response.status)
    accessLog?.note(exchange, status: response.status, bytesOut: bytesOut, work)
    return completed(response, exchange) { $0.append(Self.noTime) }
  }

  /// Bytes of the body that is sent; nil where that is not known when the answer begins.
  private static func bodyBytes(of response: Response, _ exchange: Exchange) -> Int? {
    exchange.head?.method == .head ? 0 : response.byteCount
  }

  private static let noTime = HTTPFields([("Server-Timing", Timings().field(total: 0))])

  /// - Parameter addTiming: adds the field that says where the time went.
  private func completed(
    _ response: Response, _ exchange: Exchange, _ addTiming: (inout HTTPFields) -> Void
  ) -> Response {
    var response = response
    response.fields.makeRoom()
    exchange.requestID.write(to: &response.fields)
    addTiming(&response.fields)
    if let trace = exchange.trace { response.fields.append("traceparent", trace.field) }
    origins.complete(&response.fields, for: exchange.head)
    return response
  }
}
