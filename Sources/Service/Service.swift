import Encoder
import HTTP1
import JSON
import Platform
import SimilarityCore
import VectorStore

/// The whole service behind the wire: routes, endpoints, queues, batches, metrics.
public final class Service: RequestHandler {
  private let admittance: Admittance
  /// What the admin port lets in.
  let adminAdmittance: Admittance
  private let limits: Limits
  private let store: CollectionStore
  private let lanes: WorkLanes
  private let requestTimeout: UInt64?
  private let compression: AnswerCompression
  private let proxies: TrustedProxies
  private let clients: ClientLimit
  private let keys: APIKeys?
  private let observation: Observation
  private let health: HealthEndpoint
  private let metrics: MetricsEndpoint

  /// A service around one loaded encoder.
  ///
  /// - Throws: `StoreError` when the collections cannot be used; ``LoadedModels/Failure``.
  public convenience init(
    encoder: SentenceEncoder, store: CollectionStore, configuration: ServiceConfiguration
  ) throws {
    try self.init(LoadedModels(encoder), store: store, configuration: configuration)
  }

  /// A service around loaded models.
  ///
  /// - Parameter store: the opened collections.
  /// - Throws: `StoreError` when the collections cannot be used; ``LoadedModels/Failure``.
  public init(_ loaded: LoadedModels, store: CollectionStore, configuration: ServiceConfiguration) throws {
    let encoder = loaded.encoders[0].encoder
    limits = configuration.limits
    self.store = store
    lanes = WorkLanes(
      threads: configuration.threads, loops: configuration.loops, patience: configuration.queueTimeout)
    requestTimeout = configuration.requestTimeout
    compression = configuration.compression
    proxies = configuration.trustedProxies
    clients = ClientLimit(perClient: configuration.maxRequestsPerClient, perKey: configuration.maxRequestsPerKey)
    keys = configuration.keys
    let counters = Metrics()
    let record: @Sendable (EncodedBatch) -> Void = { batch in
      counters.encoded(
        sequences: batch.inputs, tokens: batch.tokens, nanoseconds: batch.nanoseconds, failed: batch.failed)
    }
    let (lanes, crew) = (lanes, Crew(threads: lanes.short.count))
    let models = TextModels(
      try loaded.encoders.map { each in
        do throws(DigestFailure) {
          return try TextEncoder(
            encoder: each.encoder, named: each.name, defaultPrompt: configuration.defaultPrompt, lanes: lanes,
            crew: crew, cacheBytes: configuration.embeddingCacheBytes / loaded.encoders.count, record: record)
        } catch {
          throw LoadedModels.Failure(description: "--model \(each.name): \(error)")
        }
      })
    let scorer = loaded.reranker.map { PairScorer(encoder: $0, lanes: lanes, crew: crew, record: record) }
    try Self.makeDefault(in: store, dimension: encoder.dimension)
    let negatives = QueueRegistry(work: lanes.long)
    let shared = SharedQueues(store, negatives)
    if let shared { try Self.follow(shared, store) }
    health = HealthEndpoint()
    metrics = MetricsEndpoint(
      metrics: counters, lanes: lanes, models: models, scorer: scorer, store: store, queues: negatives)
    let endpoints = Endpoints(
      embed: EmbedEndpoint(models: models, limits: limits),
      openAI: OpenAIEndpoint(
        models: models, limits: limits, loadedAt: ProcessMetrics.startTime,
        acceptsTokenIds: configuration.acceptsTokenIds),
      ollama: OllamaEndpoint(models: models, limits: limits, loadedAt: ProcessMetrics.startTime),
      cohere: CohereEndpoint(models: models, limits: limits),
      tokenize: TokenizeEndpoint(models: models, limits: limits),
      similarity: SimilarityEndpoint(models: models, limits: limits),
      rerank: RerankEndpoint(scorer: scorer, limits: limits), predict: PredictEndpoint(scorer: scorer, limits: limits),
      loss: LossEndpoint(
        models: models, queues: negatives, shared: shared, lanes: lanes, limits: limits, threads: configuration.threads),
      queues: QueuesEndpoint(queues: negatives, shared: shared, limits: limits),
      collections: CollectionsEndpoint(
        store: store, models: models, limits: limits, standing: (Self.standing, encoder.dimension)),
      points: PointsEndpoint(store: store, models: models, limits: limits, lanes: lanes),
      export: ExportEndpoint(
        store: store, kept: KeptSnapshots(now: configuration.clock),
        transactions: KeptTransactions(now: configuration.clock), work: lanes.long,
        longestHeader: configuration.longestExportHeader),
      neighbors: NeighborsEndpoint(
        store: store, models: models, scorer: scorer, limits: limits, threads: configuration.threads, lanes: lanes),
      health: health, info: InfoEndpoint(models: models, scorer: scorer, store: store, configuration: configuration),
      metrics: metrics, pages: PagesEndpoint(compression: compression),
      idempotency: IdempotencyStore(work: lanes.short, isShared: store.isShared, now: configuration.clock))
    let all = endpoints.routes + endpoints.probes + endpoints.reports
    let names = RouteNames(all)
    let http = HTTPMetrics(names)
    metrics.add(http.write)
    let keyMetrics = configuration.keys.map(KeyMetrics.init)
    if let keyMetrics { metrics.add(keyMetrics.write) }
    let origins = configuration.webOrigins
    observation = Observation(
      http: http, metrics: counters, accessLog: configuration.accessLog, keys: keyMetrics, origins: origins)
    if configuration.hasAdminPort {
      admittance = Admittance(
        router: Router(endpoints.routes + endpoints.probes, names), origins: origins, unknown: AdminHandler.notHere)
    } else {
      admittance = Admittance(router: Router(all, names), origins: origins)
    }
    adminAdmittance = Admittance(
      router: Router(endpoints.probes + endpoints.reports, names), origins: origins, unknown: AdminHandler.onlyHere)
  }

  /// The name of the collection that is always there.
  private static let standing = "default"

  /// Loads the queues, and lets them follow the records from now on.
  private static func follow(_ queues: SharedQueues, _ store: CollectionStore) throws {
    store.add(queues)
    if let failure = store.follow() { throw failure }
  }

  private static func makeDefault(in store: CollectionStore, dimension: Int) throws {
    do {
      _ = try store.create(standing, dimension: dimension)
    } catch StoreError.conflict {
      // It was made for a model of another dimension, and its points stay; the texts of this one are refused by name.
    } catch StoreError.readOnly {
      // Reading goes on: the collections that exist are served.
    }
  }

  /// `/readyz` is answered 503 from now on, so that a balancer sends new requests elsewhere; those that still come are served.
  public func announceEnd() { health.announceEnd() }

  /// `/readyz` and new work are answered 503 from now on; work in flight is finished.
  public func beginDraining() { health.beginDraining() }

  /// Adds what the transport counts to `/metrics`.
  public func observe(transport write: @escaping @Sendable (inout MetricsText) -> Void) {
    metrics.add(write)
  }

  public func admit(_ head: RequestHead, from peer: Peer) -> Admission { admit(head, from: peer, admittance) }

  /// - Parameter admittance: what the port that the request came to lets in.
  func admit(_ head: RequestHead, from peer: Peer, _ admittance: Admittance) -> Admission {
    let match = admittance.router.match(head)
    let exchange = exchange(head, from: peer, match)
    if let refusal = admittance.refusal(head, match, exchange.caller) {
      return .reject(observation.refused(exchange, with: refusal))
    }
    guard let match, let action = match.action else {
      preconditionFailure("a request without a route is refused")
    }
    if let probe = action.probe { return .answer(observation.probed(exchange, with: probe())) }
    do throws(Problem) {
      if let problem = unavailable(action) ?? overload(head, action) { throw problem }
      let places = try clients.take(exchange, action)
      return .accept(
        maxBodyBytes: limits.maxBodyBytes,
        context: Admitted(exchange: exchange, match: match, action: action, places: places))
    } catch {
      observation.rejected(error)
      return .reject(observation.refused(exchange, with: error.response(match.route.style)))
    }
  }

  public func handle(_ request: Request, reply: any ReplyChannel) {
    guard let admitted = request.context as? Admitted else {
      preconditionFailure("only a request that was admitted is handed over")
    }
    let action = admitted.action
    let call = Call(
      request, admitted, reply: reply, observation: observation, timeout: requestTimeout,
      compression: action.isImmediate ? .off : compression, lanes: lanes)
    guard !action.isImmediate else { return call.perform { try action.run(call) } }
    let lane = lanes.lane(bodyBytes: Self.contentBytes(request.body.count, call.bodyCoding))
    @Sendable func run() {
      lane.waits.leave(after: call.leftQueue())
      call.perform {
        try call.requireWaiting()
        try action.run(call)
      }
    }
    let seen: [VersionToken]
    do throws(Problem) { seen = try VersionFields.tokens(in: request.head) } catch { return call.fail(error) }
    guard !seen.isEmpty else {
      // What the path names may just have been made by another replica.
      if store.isShared, let name = Self.tokenName(admitted.match), !store.knows(name) {
        return store.refresh(within: min(VersionFields.patience, call.secondsLeft)) { _ in
          lane.waits.enter()
          lane.submit(run)
        }
      }
      lane.waits.enter()
      return lane.collect(loop: request.loop, run)
    }
    // Waiting here takes up neither the event loop nor a work queue.
    store.reach(seen, within: min(VersionFields.patience, call.secondsLeft)) { shortfall in
      if let shortfall { return call.fail(Problem(shortfall)) }
      lane.waits.enter()
      lane.submit(run)
    }
  }

  /// What a path names, as tokens name it: a collection or a queue.
  private static func tokenName(_ match: Router.Match) -> String? {
    guard let name = match.parameters.first else { return nil }
    if match.route.template.hasPrefix("/collections/{name}") { return name }
    return match.route.template.hasPrefix("/queues/{name}") ? SharedQueues.prefix + name : nil
  }

  public func endOfPass(loop: Int = 0) { lanes.flush(loop: loop) }

  public func failureResponse(_ failure: RequestFailure, head: RequestHead?, from peer: Peer) -> Response {
    failureResponse(failure, head: head, from: peer, admittance)
  }

  func failureResponse(
    _ failure: RequestFailure, head: RequestHead?, from peer: Peer, _ admittance: Admittance
  ) -> Response {
    let problem = Problem(failure.status, failure.reason)
    observation.rejected(problem)
    let response = problem.response(ErrorStyle(path: head?.path ?? ""))
    return observation.refused(exchange(head, from: peer, head.flatMap(admittance.router.match)), with: response)
  }

  private func exchange(_ head: RequestHead?, from peer: Peer, _ match: Router.Match?) -> Exchange {
    let caller = keys.map { keys in head.map(keys.caller) ?? .nobody } ?? .anyone
    return Exchange(head, from: peer, caller: caller, route: match?.route, proxies)
  }

  /// Refuses new work while the service drains.
  private func unavailable(_ action: Action) -> Problem? {
    let isServed = action.isImmediate || action.work == .operation || !health.isDraining
    guard !isServed else { return nil }
    var problem = HealthEndpoint.drainingProblem
    problem.rejection = .draining
    return problem
  }

  /// Refuses a request before its body is read when there is too much to be done before it.
  private func overload(_ head: RequestHead, _ action: Action) -> Problem? {
    guard !action.isImmediate, action.work != .operation else { return nil }
    let sent =
      head.fields["content-length"].flatMap(Int.init) ?? (head.fields.contains("transfer-encoding") ? .max : 0)
    let bytes = Self.contentBytes(sent, ContentCoding(of: head))
    var backlog = lanes.lane(bodyBytes: bytes).meter.backlog
    switch action.work {
    case .encode: backlog = max(backlog, (bytes <= Self.fewTokenBytes ? lanes.short : lanes.long).encodingBacklog)
    case .wide where bytes > WorkLanes.shortBody: backlog = max(backlog, lanes.wideBacklog)
    case .wide, .other, .operation: break
    }
    let seconds = (RequestTimeout.stated(in: head) ?? requestTimeout).map { Double($0) / 1e9 }
    return lanes.refusal(backlog: backlog, own: 0, within: seconds ?? .infinity)
  }

  /// An estimate of what a body of `sent` bytes has when it is decompressed. JSON seldom shrinks to less than an eighth, and what it
  /// really was shows too late to choose a lane by it.
  private static func contentBytes(_ sent: Int, _ coding: ContentCoding) -> Int {
    guard coding == .gzip else { return sent }
    return sent > .max / 8 ? .max : sent * 8
  }

  /// A body of more bytes may have more tokens than are encoded in the short lane.
  private static let fewTokenBytes = 2048
}
