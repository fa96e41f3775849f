import JSON
import Platform
import SimilarityCore
import VectorStore

/// Searches of a collection that stays in the database: the requests of ``NeighborsEndpoint``, with the same answers.
struct DatabaseNeighbors: Sendable {
  let access: DatabaseAccess
  let request: NeighborsRequest
  let models: TextModels
  let scorer: PairScorer?
  let lanes: WorkLanes
  let store: CollectionStore

  private var engine: any DatabaseEngine { access.engine }
  private var collection: DatabaseCollection { access.collection }

  func run(_ call: Call) throws {
    switch request.query {
    case .vectors(let matrix):
      guard try !begin(matrix, call) else { return }
      try access.run(call) { try search(matrix, field: "vectors", call) }
    case .ids(let ids):
      try access.run(call) { try search(try stored(ids), excluding: ids, field: "ids", call) }
    case .texts(let inputs):
      if request.reranked != nil { try RerankEndpoint.requireReranker(scorer) }
      try access.run(call) {
        let known = try engine.state(of: collection).model
        // Texts are read and encoded where all are.
        lanes.short.submit { call.perform { try embed(inputs, known, call) } }
      }
    }
  }

  private func embed(_ inputs: [String], _ known: String?, _ call: Call) throws {
    let chosen = try models.texts(
      known: known, dimension: collection.dimension, model: request.model, field: "inputs")
    let prompt = try request.prompt.text(chosen.texts.encoder, standing: chosen.query)
    let names = entryNames(of: "inputs")
    let sequences = try chosen.texts.sequences(of: inputs, prompt: prompt, names, for: call)
    try chosen.texts.encode(sequences, names, for: call) { rows in
      try access.run(call) { try search(rows, field: "inputs", call) }
    }
  }

  private func stored(_ ids: [String]) throws -> Matrix {
    let parts = PointParts(vector: true, text: false, metadata: false)
    let found = try engine.points(ids, of: collection, parts).points
    // Keyed by bytes, since String takes canonically equivalent ids for the same.
    let vectors = Dictionary(found.map { (Array($0.id.utf8), $0.vector) }, uniquingKeysWith: { $1 })
    var values: [Float] = []
    for (row, id) in ids.enumerated() {
      guard let vector = vectors[Array(id.utf8)] else {
        throw Problem(StoreError.unknownPoint(row: row, id: id), points: "ids")
      }
      values += vector
    }
    guard let matrix = Matrix(rows: ids.count, columns: collection.dimension, values: values) else {
      throw Problem.internalError
    }
    return matrix
  }

  /// Whether the database has been asked already, so that nothing is left to do here.
  private func begin(_ query: Matrix, _ call: Call) throws -> Bool {
    guard query.rows == 1 else { return false }
    try call.beginWork()
    let began = SystemClock.monotonic
    return engine.begin(query, request.search(excluding: []), in: collection, parts) { result in
      call.perform { try answer(result, since: began, field: "vectors", call) }
    }
  }

  private func search(_ queries: Matrix, excluding: [String] = [], field: String, _ call: Call) throws {
    let began = SystemClock.monotonic
    let result: Result<(state: DatabaseState, found: NeighborResult), StoreError>
    do throws(StoreError) {
      result = .success(
        try engine.nearest(to: queries, request.search(excluding: excluding), in: collection, parts))
    } catch {
      result = .failure(error)
    }
    try answer(result, since: began, field: field, call)
  }

  private var parts: PointParts {
    var parts = request.content.parts
    // A cross-encoder reads texts.
    if request.reranked != nil { parts.text = true }
    return parts
  }

  private func answer(
    _ result: Result<(state: DatabaseState, found: NeighborResult), StoreError>, since began: UInt64, field: String,
    _ call: Call
  ) throws {
    let state: DatabaseState
    let found: NeighborResult
    do throws(StoreError) { (state, found) = try result.get() } catch { throw Problem(error, points: field) }
    call.add(.search, since: began)
    call.note(collection.token(state.version))
    let answer = NeighborsAnswer(
      request: request, collection: collection.name, version: state.version, count: state.count, found: found,
      store: store)
    guard case .texts(let inputs) = request.query, let top = request.reranked, let scorer else {
      return call.answer(reserving: 1024) { answer.write(to: &$0) }
    }
    lanes.short.submit {
      call.perform {
        let reranking = Reranking(of: found.neighbors.map(answer.kept), top: top, for: inputs)
        try reranking.run(scorer, for: call) { order in
          call.answer(reserving: 1024) { answer.write(in: order, to: &$0) }
        }
      }
    }
  }
}

extension NeighborsEndpoint {
  /// nil where the collection that the request names is not in the database.
  func inDatabase(_ request: NeighborsRequest) -> DatabaseNeighbors? {
    store.inDatabase(request.collection).map {
      DatabaseNeighbors(access: $0, request: request, models: models, scorer: scorer, lanes: lanes, store: store)
    }
  }
}
