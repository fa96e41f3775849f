import JSON
import Platform
import SimilarityCore
import VectorStore

/// `POST /neighbors`: the points of a collection that are nearest to each query.
struct NeighborsEndpoint: Sendable {
  let store: CollectionStore
  let models: TextModels
  let scorer: PairScorer?
  let limits: Limits
  let threads: Int
  let lanes: WorkLanes

  private static let fewQueries = 32

  func run(_ call: Call) throws {
    let request = try NeighborsRequest(try RequestBody(call, tensors: ["vectors"], limits), limits)
    try call.read(request.consistency, store, of: request.collection) { try answer(request, call) }
  }

  private func answer(_ request: NeighborsRequest, _ call: Call) throws {
    if let database = inDatabase(request) { return try database.run(call) }
    let collection = try store.collection(request.collection)
    switch request.query {
    case .vectors(let matrix):
      try search(request, collection, collection.snapshot, matrix, field: "vectors", call)
    case .ids(let ids):
      let snapshot = collection.snapshot
      let matrix = try stored(ids, snapshot, dimension: collection.dimension)
      try search(request, collection, snapshot, matrix, excluding: ids, field: "ids", call)
    case .texts(let inputs):
      if request.reranked != nil { try RerankEndpoint.requireReranker(scorer) }
      let chosen = try models.texts(of: collection, model: request.model, field: "inputs")
      let prompt = try request.prompt.text(chosen.texts.encoder, standing: chosen.query)
      let names = entryNames(of: "inputs")
      let sequences = try chosen.texts.sequences(of: inputs, prompt: prompt, names, for: call)
      try chosen.texts.encode(sequences, names, for: call) { rows in
        // A write that was answered while these texts were embedded is seen.
        try search(request, collection, collection.snapshot, rows, field: "inputs", call)
      }
    }
  }

  private func stored(_ ids: [String], _ snapshot: CollectionSnapshot, dimension: Int) throws(Problem) -> Matrix {
    var values: [Float] = []
    for (row, id) in ids.enumerated() {
      guard let point = snapshot.point(id) else {
        throw Problem(StoreError.unknownPoint(row: row, id: id), points: "ids")
      }
      values += point.vector
    }
    guard let matrix = Matrix(rows: ids.count, columns: dimension, values: values) else { throw .internalError }
    return matrix
  }

  private func search(
    _ request: NeighborsRequest, _ collection: VectorCollection, _ snapshot: CollectionSnapshot, _ queries: Matrix,
    excluding: [String] = [], field: String, _ call: Call
  ) throws {
    guard queries.rows > Self.fewQueries else {
      return try searchNow(request, collection, snapshot, queries, excluding: excluding, field: field, call)
    }
    try lanes.submitWide(.queries, cost: Double(queries.rows), for: call) {
      try searchNow(request, collection, snapshot, queries, excluding: excluding, field: field, call)
    }
  }

  private func searchNow(
    _ request: NeighborsRequest, _ collection: VectorCollection, _ snapshot: CollectionSnapshot, _ queries: Matrix,
    excluding: [String], field: String, _ call: Call
  ) throws {
    try call.beginWork()
    let began = SystemClock.monotonic
    var search = request.search(excluding: excluding)
    // A few queries are done sooner than shared out; other requests use the other cores.
    search.loop = ParallelLoop(threads: queries.rows > Self.fewQueries ? threads : 1)
    let found: NeighborResult
    do {
      found = try snapshot.nearest(to: queries, search)
    } catch {
      throw Problem(error, points: field)
    }
    call.add(.search, since: began)
    call.note(collection.token(snapshot.version))
    let answer = NeighborsAnswer(
      request: request, collection: collection.name, version: snapshot.version, count: snapshot.count, found: found,
      store: store)
    guard case .texts(let inputs) = request.query, let top = request.reranked, let scorer else {
      return call.answer(reserving: 1024) { answer.write(to: &$0) }
    }
    let reranking = Reranking(of: found.neighbors.map(answer.kept), top: top, for: inputs)
    try reranking.run(scorer, for: call) { order in
      call.answer(reserving: 1024) { answer.write(in: order, to: &$0) }
    }
  }
}

/// The answer of `POST /neighbors`.
struct NeighborsAnswer {
  let request: NeighborsRequest
  let collection: String
  let version: Int
  /// Points of the collection.
  let count: Int
  let found: NeighborResult
  let store: CollectionStore

  /// - Parameter order: that which a cross-encoder gave the neighbours of each query; nil for that of their scores.
  func write(in order: [[Reranking.Place]]? = nil, to writer: inout JSONWriter) {
    let kept = found.neighbors.map(kept)
    let reasons = zip(kept, found.neighbors).map { shortReason(kept: $0.count, found: $1.count) }
    writer.object { writer in
      writer.member("collection", collection)
      writer.member("version", version)
      writer.member("mode", found.usedGraph ? "graph" : "exact")
      if let ef = found.ef { writer.member("ef", ef) }
      if let recall = found.expectedRecall { writer.member("expected_recall", recall) }
      // Each replica builds a graph of its own, which may find others among neighbours that are nearly as near.
      if store.isShared, found.usedGraph { writer.member("replica_identical", false) }
      writer.staleness(of: collection, in: store)
      writer.key("results")
      writer.array { writer in
        for (query, neighbors) in kept.enumerated() {
          writer.array { writer in
            guard let order = order?[query] else {
              for neighbor in neighbors { write(neighbor, to: &writer) }
              return
            }
            for place in order.prefix(request.k) { write(neighbors[place.index], place.score, to: &writer) }
          }
        }
      }
      guard reasons.contains(where: { $0 != nil }) else { return }
      writer.key("short_reasons")
      writer.array { for reason in reasons { $0.string(orNull: reason) } }
    }
  }

  private func write(_ neighbor: Neighbor, _ reranked: Float? = nil, to writer: inout JSONWriter) {
    writer.object { writer in
      writer.member("id", neighbor.id)
      writer.member("score", neighbor.score)
      if let reranked { writer.member("rerank_score", reranked) }
      writer.content(of: neighbor.point(withVector: request.content.vector), request.content)
    }
  }

  /// Best first, so that what the threshold leaves is a prefix.
  func kept(_ neighbors: [Neighbor]) -> ArraySlice<Neighbor> {
    guard let least = request.scoreThreshold else { return neighbors[...] }
    return neighbors.prefix { $0.score >= least }
  }

  /// Why a query got fewer than k; nil when it did not.
  private func shortReason(kept: Int, found: Int) -> String? {
    guard kept < request.k else { return nil }
    if kept < found { return "score_threshold left out the others: \(kept) points reach it" }
    let beside = if case .ids = request.query { " beside the query itself" } else { "" }
    if request.filter != nil, self.found.matching < count {
      return "the filter matches \(self.found.matching) of the \(count) points; \(found) can be found\(beside)"
    }
    guard found >= min(request.k, count - (beside.isEmpty ? 0 : 1)) else {
      return "the graph search found \(found) points; a larger ef or exact finds more"
    }
    return "the collection holds \(found) points\(beside)"
  }
}
