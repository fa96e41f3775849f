import HTTP1
import JSON
import SentenceEncoder
import VectorStore

/// The whole service behind the wire: routes, endpoints, queues, batches, metrics.
public final class Service: RequestHandler {
  private let router: Router
  private let admittance: Admittance
  private let queues: WorkQueues
  private let metrics: Metrics
  private let operation: OperationEndpoint

  /// Loads the model folder and builds the service around it; ready as soon as it exists.
  ///
  /// - Throws: `EncoderError` naming the file and key at fault.
  public convenience init(model folder: String, configuration: ServiceConfiguration) throws {
    try self.init(encoder: try SentenceEncoder(folder: folder), configuration: configuration)
  }

  /// A service around a loaded encoder.
  ///
  /// - Throws: `OpenError` or `StoreError` when the collections cannot be used.
  public init(encoder: SentenceEncoder, configuration: ServiceConfiguration) throws {
    let limits = configuration.limits
    queues = WorkQueues(count: configuration.threads)
    metrics = Metrics()
    let texts = TextEncoder(
      encoder: encoder, batcher: Batcher(encoder: encoder, queues: queues, metrics: metrics))
    let store = try configuration.store ?? CollectionStore()
    do {
      _ = try store.create("default", dimension: encoder.dimension)
    } catch StoreError.conflict {
      // It was made for a model of another dimension, and its points stay; the texts of this one are refused by name.
    } catch StoreError.readOnly {
      // What is there is served.
    }
    let negatives = QueueRegistry(work: queues)
    let idempotency = IdempotencyStore(work: queues, now: configuration.clock)
    operation = OperationEndpoint(
      texts: texts, store: store, queues: negatives, configuration: configuration, metrics: metrics)
    router = Router(
      Routes.table(
        embed: EmbedEndpoint(texts: texts, limits: limits),
        openAI: OpenAIEndpoint(texts: texts, limits: limits, loadedAt: ProcessMetrics.startTime),
        tokenize: TokenizeEndpoint(texts: texts, limits: limits),
        similarity: SimilarityEndpoint(texts: texts, limits: limits),
        loss: LossEndpoint(
          texts: texts, queues: negatives, idempotency: idempotency, limits: limits, threads: configuration.threads),
        collections: CollectionsEndpoint(store: store, limits: limits),
        points: PointsEndpoint(store: store, texts: texts, idempotency: idempotency, limits: limits),
        export: ExportEndpoint(
          store: store, kept: KeptSnapshots(now: configuration.clock), longestHeader: configuration.longestExportHeader),
        neighbors: NeighborsEndpoint(store: store, texts: texts, limits: limits, threads: configuration.threads),
        queues: QueuesEndpoint(queues: negatives, limits: limits), operation: operation))
    admittance = Admittance(maxBodyBytes: limits.maxBodyBytes)
  }

  /// `/readyz` and new work are answered 503 from now on; work in flight is finished.
  public func beginDraining() { operation.beginDraining() }

  /// Adds what the transport counts to `/metrics`.
  public func observe(transport write: @escaping @Sendable (inout MetricsText) -> Void) {
    operation.observe(transport: write)
  }

  public func admit(_ head: RequestHead) -> Admission {
    let match = router.match(head)
    if let refusal = admittance.refusal(head, match) {
      return .reject(stamped(refusal, head, route: match?.route.template))
    }
    if let route = match?.route, operation.isDraining, route.action(head.method)?.isImmediate == false {
      return .reject(stamped(OperationEndpoint.drainingAnswer(route.style), head, route: route.template))
    }
    return .accept(maxBodyBytes: admittance.maxBodyBytes)
  }

  public func handle(_ request: Request, reply: any ReplyChannel) {
    guard let match = router.match(request.head), let action = match.route.action(request.head.method) else {
      // Admission let nothing else through.
      return reply.send(Problem(404, "there is no such route").response(.native))
    }
    let call = Call(request, match: match, reply: reply, metrics: metrics)
    guard !action.isImmediate else { return call.perform { try action.run(call) } }
    queues.collect {
      guard !call.isAbandoned else { return call.fail(Problem(503, "the client went away")) }
      call.leftQueue()
      call.perform { try action.run(call) }
    }
  }

  public func endOfPass() { queues.flush() }

  public func failureResponse(_ failure: RequestFailure, head: RequestHead?) -> Response {
    var detail = failure.reason
    if failure.status == 413 { detail += " (limit: \(admittance.maxBodyBytes) bytes)" }
    let style = ErrorStyle(path: head?.path ?? "")
    var response = Problem(failure.status, detail).response(style)
    if failure.status == 503 { response.fields.set("Retry-After", "1") }
    return stamped(response, head, route: head.flatMap { router.match($0)?.route.template })
  }

  /// Gives an answer that never became a call the fields and the place in the metrics that every answer has.
  private func stamped(_ response: Response, _ head: RequestHead?, route: String?) -> Response {
    var response = response
    response.fields.append("X-Request-Id", RequestID.of(head?.fields["x-request-id"]))
    response.fields.append("Server-Timing", Timings().field(total: 0))
    metrics.refused(route: route, method: head?.method, status: response.status)
    return response
  }
}
