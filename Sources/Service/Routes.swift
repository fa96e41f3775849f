/// The endpoints of the service.
struct Endpoints: Sendable {
  let embed: EmbedEndpoint
  let openAI: OpenAIEndpoint
  let ollama: OllamaEndpoint
  let cohere: CohereEndpoint
  let tokenize: TokenizeEndpoint
  let similarity: SimilarityEndpoint
  let rerank: RerankEndpoint
  let predict: PredictEndpoint
  let loss: LossEndpoint
  let queues: QueuesEndpoint
  let collections: CollectionsEndpoint
  let points: PointsEndpoint
  let export: ExportEndpoint
  let neighbors: NeighborsEndpoint
  let health: HealthEndpoint
  let info: InfoEndpoint
  let metrics: MetricsEndpoint
  let pages: PagesEndpoint
  let idempotency: IdempotencyStore

  /// What orchestrators and balancers ask.
  var probes: [Route] {
    [
      Route("/livez", .probe(health.live)),
      Route("/readyz", .probe(health.ready)),
      Route("/health", .probe(health.ready)),
      Route("/ping", .probe(health.ready)),
    ]
  }

  /// What the service says of itself.
  var reports: [Route] {
    [
      // Clients of every kind read it before their first call.
      Route("/info", .immediate(.get, needs: .key, info.info)),
      Route("/metrics", .queued(.get, work: .operation, needs: .right(.admin), metrics.page)),
    ]
  }

  /// The rest of the interface, one line for each path and method.
  var routes: [Route] {
    let both: [MediaType] = [.json, .safetensors]
    let root = RootEndpoint(embed: embed, similarity: similarity)
    return [
      Route("/", .immediate(.get, needs: .nothing, pages.page), .queued(.post, work: .encode, root.run)),
      Route("/embed", gives: both, .queued(.post, work: .encode) { try embed.run($0) }),
      Route("/similarity", .queued(.post, work: .encode) { try similarity.run($0) }),
      Route("/tokenize", .queued(.post, tokenize.run)),
      Route("/v1/embeddings", .queued(.post, work: .encode, openAI.embeddings)),
      Route("/embeddings", .queued(.post, work: .encode, openAI.embeddings)),
      Route("/rerank", .queued(.post, work: .encode) { try rerank.run(.textEmbeddingsInference, $0) }),
      Route("/v1/rerank", .queued(.post, work: .encode) { try rerank.run(.jina, $0) }),
      Route("/v2/rerank", .queued(.post, work: .encode) { try rerank.run(.cohere, $0) }),
      Route("/predict", .queued(.post, work: .encode, predict.run)),
      Route("/v1/models", .immediate(.get, needs: .right(.read), openAI.models)),
      Route("/v1/models/{model}", .immediate(.get, needs: .right(.read), openAI.model)),

      Route("/api/embed", .queued(.post, work: .encode, ollama.embed)),
      Route("/api/embeddings", .queued(.post, work: .encode, ollama.embeddings)),
      Route("/api/show", .queued(.post, ollama.show)),
      Route("/api/tags", .immediate(.get, needs: .right(.read), ollama.tags)),
      Route("/api/ps", .immediate(.get, needs: .right(.read), ollama.loaded)),
      Route("/api/version", .immediate(.get, needs: .key, ollama.version)),
      Route("/v2/embed", .queued(.post, work: .encode, cohere.embed)),
      Route("/v1/embed", .queued(.post, work: .encode, cohere.embedAsBefore)),

      // Appending to a queue needs another right, which is asked for when the body has been read.
      Route("/loss", takes: both, gives: both, .queued(.post, work: .wide, idempotency.once(loss.run))),
      Route("/queues", .queued(.get, queues.list)),
      Route(
        "/queues/{name}", .queued(.get, queues.describe), .queued(.put, queues.create), .queued(.delete, queues.delete)),

      Route("/neighbors", takes: both, .queued(.post, work: .wide, neighbors.run)),
      Route("/collections", .queued(.get, collections.list)),
      Route(
        "/collections/{name}", .queued(.get, collections.describe), .queued(.put, collections.create),
        .queued(.delete, collections.delete)),
      Route(
        "/collections/{name}/points", takes: both, .queued(.get, points.list),
        .queued(.put, idempotency.once(points.upsert))),
      // A route of its own, since its bodies are JSON alone.
      Route("/collections/{name}/points", .queued(.patch, idempotency.once(points.change))),
      Route("/collections/{name}/points/list", .queued(.post, points.listMatching)),
      Route("/collections/{name}/points/count", .queued(.post, points.count)),
      Route("/collections/{name}/export", .queued(.get, export.run)),
      Route("/collections/{name}/digest", .queued(.get, collections.digest)),
      Route(
        "/collections/{name}/points/delete", .queued(.post, needs: .right(.write), idempotency.once(points.delete))),
      Route("/collections/{name}/points/{id}", .queued(.get, points.get)),

      Route("/openapi.yaml", .immediate(.get, needs: .nothing, pages.openapi)),
      Route("/playground", .immediate(.get, needs: .nothing, pages.playground)),
      Route("/playground/{file}", .immediate(.get, needs: .nothing, pages.playgroundPart)),
    ]
  }
}
