import JSON
import Platform
import Safetensors
import SimilarityCore
import VectorStore

/// `POST /neighbors`: the points of a collection that are nearest to each query.
struct NeighborsEndpoint: Sendable {
  let store: CollectionStore
  let texts: TextEncoder
  let limits: Limits
  let threads: Int

  private static let fewQueries = 32

  func run(_ call: Call) throws {
    let request =
      call.bodyType == .safetensors
      ? try NeighborsRequest(try SafetensorsArchive(call.takeBody()), limits)
      : try NeighborsRequest(try call.json(limits), limits)
    let collection = try store.collection(request.collection)
    switch request.query {
    case .vectors(let matrix):
      try search(request, collection, collection.snapshot, matrix, field: "vectors", call)
    case .ids(let ids):
      let snapshot = collection.snapshot
      let matrix = try stored(ids, snapshot, dimension: collection.dimension)
      try search(request, collection, snapshot, matrix, excluding: ids, field: "ids", call)
    case .texts(let inputs):
      try texts.check(collection, field: "inputs")
      let sequences = try texts.sequences(of: inputs, field: "inputs", for: call)
      texts.encode(sequences, for: call) { pooled in
        let rows = texts.encoder.normalizes ? try pooled.normalized() : pooled
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
    _ request: NeighborsRequest, _ collection: Collection, _ snapshot: CollectionSnapshot, _ queries: Matrix,
    excluding: [String] = [], field: String, _ call: Call
  ) throws {
    let began = SystemClock.monotonic
    var search = NeighborSearch(k: request.k)
    search.mode = request.mode
    search.recallTarget = request.recallTarget
    search.filter = request.filter
    search.excluding = excluding
    // A few queries are done sooner than shared out; other requests use the other cores.
    search.loop = ParallelLoop(threads: queries.rows > Self.fewQueries ? threads : 1)
    let found: NeighborResult
    do {
      found = try snapshot.nearest(to: queries, search)
    } catch {
      throw Problem(error, points: field)
    }
    call.add(.search, since: began)
    let answer = NeighborsAnswer(
      request: request, collection: collection.name, version: snapshot.version, count: snapshot.count, found: found)
    call.answer(reserving: 1024) { answer.write(to: &$0) }
  }
}
