import HTTP1
import JSON
import SimilarityCore
import VectorStore

/// The points of a collection that stays in the database: the requests of ``PointsEndpoint``, with the same answers.
struct DatabasePoints: Sendable {
  let access: DatabaseAccess
  /// Its answers are given here, too.
  let endpoint: PointsEndpoint

  private var engine: any DatabaseEngine { access.engine }
  private var collection: DatabaseCollection { access.collection }

  func upsert(_ request: PointsRequest, _ call: Call) throws {
    try access.run(call) {
      guard request.source != nil || !request.texts.isEmpty else { return try store(request, [:], by: nil, call) }
      let known = try engine.state(of: collection).model
      if let source = request.source, let known, source != known {
        throw Problem(
          409, "the collection's texts were embedded by another model, \(known)", param: "collection.model")
      }
      guard !request.texts.isEmpty else { return try store(request, [:], by: request.source, call) }
      // Texts are read and encoded where all are.
      endpoint.lanes.short.submit { call.perform { try embed(request, known, call) } }
    }
  }

  private func embed(_ request: PointsRequest, _ known: String?, _ call: Call) throws {
    let embedded = request.texts
    let chosen = try endpoint.models.texts(
      known: known, dimension: collection.dimension, model: request.model, field: request.textField(embedded[0].row))
    try request.embed(with: chosen, for: call) { vectors in
      try access.run(call) { try store(request, vectors, by: chosen.identity, call) }
    }
  }

  private func store(
    _ request: PointsRequest, _ embedded: [Int: [Float]], by model: String?, _ call: Call
  ) throws {
    let points = request.points(embedded)
    do throws(StoreError) {
      let version = try engine.upsert(points, model: model, key: call.changeKey, into: collection)
      endpoint.answer(collection.token(version), "upserted", points.count, call)
    } catch {
      throw request.problem(error)
    }
  }

  func get(_ call: Call) throws {
    let id = call.parameters.dropFirst().first ?? ""
    try access.run(call) {
      let (state, points) = try engine.points([id], of: collection, .all)
      guard let point = points.first else {
        throw Problem(404, "there is no point '\(id)' in collection '\(collection.name)'", param: "id")
      }
      call.note(collection.token(state.version))
      call.answer { $0.point(point, .all) }
    }
  }

  func list(_ filter: Filter?, after: String?, _ limit: Int, _ content: PointContent, _ call: Call) throws {
    try access.run(call) {
      let (state, points) = try engine.points(
        of: collection, matching: filter, after: after, limit: limit, content.parts)
      endpoint.answer(collection.token(state.version), points, limit, content, call)
    }
  }

  func count(_ filter: Filter?, _ call: Call) throws {
    try access.run(call) {
      let (version, count) = try engine.count(of: collection, matching: filter)
      endpoint.answer(collection.token(version), "count", count, call)
    }
  }

  func change(_ request: MetadataRequest, _ call: Call) throws {
    try access.run(call) {
      do throws(StoreError) {
        let (version, updated, missing) = try engine.change(
          request.changes, request.mode, key: call.changeKey, in: collection)
        PointsEndpoint.answer(collection.token(version), updated: updated, missing: missing, call)
      } catch {
        throw Problem(error, points: "points")
      }
    }
  }

  func delete(_ choice: PointChoice, _ call: Call) throws {
    try access.run(call) {
      do throws(StoreError) {
        let (version, deleted) = try engine.delete(choice, key: call.changeKey, from: collection)
        endpoint.answer(collection.token(version), "deleted", deleted, call)
      } catch {
        throw Problem(error, points: "ids")
      }
    }
  }
}

extension PointsEndpoint {
  /// nil where the collection that the path names is not in the database.
  func inDatabase(_ call: Call) throws(Problem) -> DatabasePoints? {
    try store.inDatabase(call).map { DatabasePoints(access: $0, endpoint: self) }
  }
}
