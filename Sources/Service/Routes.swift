import HTTP1

/// The whole interface, one line a path.
enum Routes {
  static func table(
    embed: EmbedEndpoint, openAI: OpenAIEndpoint, tokenize: TokenizeEndpoint, similarity: SimilarityEndpoint,
    loss: LossEndpoint, collections: CollectionsEndpoint, points: PointsEndpoint, export: ExportEndpoint,
    neighbors: NeighborsEndpoint, queues: QueuesEndpoint, operation: OperationEndpoint
  ) -> [Route] {
    let playground = PlaygroundEndpoint()
    let root = RootEndpoint(embed: embed, similarity: similarity)
    let rows: [(String, [(HTTPMethod, Action)])] = [
      ("/", [(.get, .immediate(operation.page)), (.post, .queued(root.run))]),
      ("/embed", [(.post, .queued { try embed.run($0) })]),
      ("/similarity", [(.post, .queued { try similarity.run($0) })]),
      ("/tokenize", [(.post, .queued(tokenize.run))]),
      ("/v1/embeddings", [(.post, .queued(openAI.embeddings))]),
      ("/v1/models", [(.get, .immediate(openAI.models))]),
      ("/v1/models/{model}", [(.get, .immediate(openAI.model))]),
      ("/loss", [(.post, .queued(loss.run))]),
      ("/neighbors", [(.post, .queued(neighbors.run))]),
      ("/collections", [(.get, .queued(collections.list))]),
      (
        "/collections/{name}",
        [
          (.get, .queued(collections.describe)), (.put, .queued(collections.create)),
          (.delete, .queued(collections.delete)),
        ]
      ),
      ("/collections/{name}/points", [(.get, .queued(points.list)), (.put, .queued(points.upsert))]),
      ("/collections/{name}/export", [(.get, .queued(export.run))]),
      ("/collections/{name}/points/delete", [(.post, .queued(points.delete))]),
      ("/collections/{name}/points/{id}", [(.get, .queued(points.get))]),
      ("/queues", [(.get, .queued(queues.list))]),
      (
        "/queues/{name}",
        [(.get, .queued(queues.describe)), (.put, .queued(queues.create)), (.delete, .queued(queues.delete))]
      ),
      ("/livez", [(.get, .immediate(operation.live))]),
      ("/readyz", [(.get, .immediate(operation.ready))]),
      ("/health", [(.get, .immediate(operation.ready))]),
      ("/info", [(.get, .immediate(operation.info))]),
      ("/metrics", [(.get, .queued(operation.metrics))]),
      ("/openapi.yaml", [(.get, .immediate(operation.openapi))]),
      ("/playground", [(.get, .immediate(playground.page))]),
      ("/playground/{file}", [(.get, .immediate(playground.part))]),
    ]
    return rows.map { template, actions in
      Route(
        template: template, actions: actions.map { (method: $0.0, action: $0.1) },
        takes: ["/loss", "/neighbors", "/collections/{name}/points"].contains(template)
          ? [.json, .safetensors] : [.json],
        gives: ["/loss", "/embed"].contains(template) ? [.json, .safetensors] : [.json])
    }
  }
}
