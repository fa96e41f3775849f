import JSON
import SimilarityCore
import VectorStore

/// `POST /neighbors`: the points of a collection that are nearest to each query.
struct NeighborsEndpoint: Sendable {
  let store: CollectionStore
  let texts: TextEncoder
  let limits: Limits

  func run(_ call: Call) throws {
    let request = try NeighborsRequest(try call.json(limits), limits)
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
        // A write that was answered while these texts were embedded is seen.
        try search(request, collection, collection.snapshot, pooled, field: "inputs", call)
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
    excluding: [String]? = nil, field: String, _ call: Call
  ) throws {
    let began = MonotonicClock.now
    var search = NeighborSearch(k: request.k)
    search.excluding = excluding ?? []
    let result: NeighborResult
    do {
      result = try snapshot.nearest(to: queries, search)
    } catch {
      throw Problem(error, points: field)
    }
    var results: [[Neighbor]] = []
    var reasons: [String?] = []
    for found in result.neighbors {
      let kept = request.scoreThreshold.map { least in found.filter { $0.score >= least } } ?? found
      results.append(kept)
      reasons.append(Self.shortReason(kept.count, found.count, request, snapshot, excludesOne: excluding != nil))
    }
    call.add(.search, since: began)
    answer(request, collection.name, snapshot.version, results, reasons, call)
  }

  /// Why a query got fewer than k; nil when it did not.
  private static func shortReason(
    _ kept: Int, _ found: Int, _ request: NeighborsRequest, _ snapshot: CollectionSnapshot, excludesOne: Bool
  ) -> String? {
    guard kept < request.k else { return nil }
    if kept < found { return "score_threshold left out the others" }
    let others = excludesOne ? " beside the query itself" : ""
    return "the collection holds \(found) points\(others)"
  }

  private func answer(
    _ request: NeighborsRequest, _ name: String, _ version: Int, _ results: [[Neighbor]],
    _ reasons: [String?], _ call: Call
  ) {
    call.answer(reserving: 1024) { writer in
      writer.beginObject()
      writer.member("collection", name)
      writer.member("version", version)
      writer.member("mode", "exact")
      writer.key("results")
      writer.beginArray()
      for neighbors in results {
        writer.beginArray()
        for neighbor in neighbors {
          writer.beginObject()
          writer.member("id", neighbor.id)
          writer.member("score", neighbor.score)
          writer.content(
            of: neighbor.point(withVector: request.includesVector), vector: request.includesVector,
            text: request.includesText,
            metadata: request.includesMetadata)
          writer.endObject()
        }
        writer.endArray()
      }
      writer.endArray()
      if reasons.contains(where: { $0 != nil }) {
        writer.key("short_reasons")
        writer.beginArray()
        for reason in reasons { writer.string(orNull: reason) }
        writer.endArray()
      }
      writer.endObject()
    }
  }
}
