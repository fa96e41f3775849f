import HTTP1
import JSON
import Safetensors
import SimilarityCore
import VectorStore

/// `/collections/{name}/points` and below: storing, reading, listing and deleting points.
struct PointsEndpoint: Sendable {
  let store: CollectionStore
  let models: TextModels
  let limits: Limits
  let lanes: WorkLanes

  func upsert(_ call: Call) throws {
    if let database = try inDatabase(call) { return try database.upsert(try request(call), call) }
    let collection = try store.collection(try call.name(of: "a collection"))
    let request = try request(call)
    if let source = request.source, let known = collection.snapshot.model, source != known {
      throw Problem(409, "the collection's texts were embedded by another model, \(known)", param: "collection.model")
    }
    let embedded = request.texts
    guard !embedded.isEmpty else { return try apply(request, [:], by: request.source, collection, call) }
    let chosen = try models.texts(
      of: collection, model: request.model, field: request.textField(embedded[0].row))
    let prompt = try request.prompt.text(chosen.texts.encoder, standing: chosen.document)
    let names: TextNames = { request.textField(embedded[$0].row) }
    let sequences = try chosen.texts.sequences(of: embedded.map(\.text), prompt: prompt, names, for: call)
    try chosen.texts.encode(sequences, names, for: call) { rows in
      var vectors: [Int: [Float]] = [:]
      for (index, entry) in embedded.enumerated() { vectors[entry.row] = Array(rows.row(index)) }
      try apply(request, vectors, by: chosen.identity, collection, call)
    }
  }

  private func request(_ call: Call) throws -> PointsRequest {
    call.bodyType == .safetensors
      ? try PointsRequest(try SafetensorsArchive(try call.takeBody(limits)), limits)
      : try PointsRequest(try call.json(limits), limits)
  }

  /// - Parameter model: what the collection is to remember of the texts.
  private func apply(
    _ request: PointsRequest, _ embedded: [Int: [Float]], by model: String?, _ collection: VectorCollection,
    _ call: Call
  ) throws {
    // Requests that come together are stored together: this queue does not wait for the disk.
    collection.upsert(request.points(embedded), model: model) { result in
      switch result {
      case .failure(let error): call.fail(request.problem(error))
      case .success(let version): Self.answer(version, "upserted", request.drafts.count, call)
      }
    }
  }

  func get(_ call: Call) throws {
    if let database = try inDatabase(call) { return try database.get(call) }
    let collection = try store.collection(try call.name(of: "a collection"))
    let id = call.parameters.dropFirst().first ?? ""
    guard let point = collection.snapshot.point(id) else {
      throw Problem(404, "there is no point '\(id)' in collection '\(collection.name)'", param: "id")
    }
    call.answer { $0.point(point, .all) }
  }

  /// `?after=ID&limit=N`: in the order of ids' bytes.
  func list(_ call: Call) throws {
    if let database = try inDatabase(call) { return try database.list(try ListRequest(call.head), call) }
    let collection = try store.collection(try call.name(of: "a collection"))
    list(try ListRequest(call.head), collection, call)
  }

  /// `POST …/points/list`: the points that a filter matches, in the order of ids' bytes.
  func listMatching(_ call: Call) throws {
    let database = try inDatabase(call)
    let collection = database == nil ? try store.collection(try call.name(of: "a collection")) : nil
    var fields = try Fields(try call.json(limits))
    let request = try ListRequest(&fields)
    try fields.finish()
    try database?.list(request, call)
    if let collection { list(request, collection, call) }
  }

  private func list(_ request: ListRequest, _ collection: VectorCollection, _ call: Call) {
    let snapshot = collection.snapshot
    let (after, limit) = (request.after, request.limit)
    let points =
      request.filter.map { snapshot.points(matching: $0, after: after, limit: limit) }
      ?? snapshot.points(after: after, limit: limit)
    Self.answer(points, limit, request.content, call)
  }

  static func answer(_ points: [Point], _ limit: Int, _ content: PointContent, _ call: Call) {
    call.answer { writer in
      writer.object { writer in
        writer.key("points")
        writer.array { for point in points { $0.point(point, content) } }
        writer.member("next_after", orNull: points.count == limit ? points.last?.id : nil)
      }
    }
  }

  /// `POST …/points/count`: how many points a filter matches, which are those that a deletion by it would take.
  func count(_ call: Call) throws {
    let database = try inDatabase(call)
    let collection = database == nil ? try store.collection(try call.name(of: "a collection")) : nil
    var fields = try Fields(try call.json(limits))
    let filter = try fields.filter("filter")
    try fields.finish()
    try database?.count(filter, call)
    guard let snapshot = collection?.snapshot else { return }
    Self.answer(snapshot.version, "count", filter.map(snapshot.count(matching:)) ?? snapshot.count, call)
  }

  /// `PATCH …/points`: changes metadata; vectors and texts stay.
  func change(_ call: Call) throws {
    if let database = try inDatabase(call) {
      return try database.change(try MetadataRequest(try call.json(limits), limits), call)
    }
    let collection = try store.collection(try call.name(of: "a collection"))
    let request = try MetadataRequest(try call.json(limits), limits)
    collection.change(request.changes, request.mode) { result in
      switch result {
      case .failure(let error): call.fail(Problem(error, points: "points"))
      case .success(let outcome):
        Self.answer(version: outcome.version, updated: outcome.updated, missing: outcome.missing, call)
      }
    }
  }

  static func answer(version: Int, updated: Int, missing: [String], _ call: Call) {
    call.answer { writer in
      writer.object { writer in
        writer.member("version", version)
        writer.member("updated", updated)
        writer.key("missing")
        writer.array { for id in missing { $0.string(id) } }
      }
    }
  }

  func delete(_ call: Call) throws {
    let database = try inDatabase(call)
    let collection = database == nil ? try store.collection(try call.name(of: "a collection")) : nil
    var fields = try Fields(try call.json(limits))
    let choice = try PointChoice(&fields, limits)
    try database?.delete(choice, call)
    let answer = { @Sendable (result: Result<(version: Int, deleted: Int), StoreError>) in
      switch result {
      case .failure(let error): call.fail(Problem(error, points: "ids"))
      case .success(let (version, deleted)): Self.answer(version, "deleted", deleted, call)
      }
    }
    switch choice {
    case .ids(let ids): collection?.delete(ids, completion: answer)
    case .matching(let filter): collection?.delete(where: filter, completion: answer)
    }
  }

  static func answer(_ version: Int, _ what: String, _ count: Int, _ call: Call) {
    call.answer { writer in
      writer.beginObject()
      writer.member("version", version)
      writer.member(what, count)
      writer.endObject()
    }
  }
}

/// What of a point an answer holds beside its id.
struct PointContent: Sendable {
  var metadata = true
  var text = true
  var vector = true

  static let all = PointContent()

  private init() {}

  /// Reads `include`; metadata alone where it is missing.
  init(_ fields: inout Fields) throws(Problem) {
    let names = try fields.names("include", of: ["metadata", "text", "vector"]) ?? ["metadata"]
    metadata = names.contains("metadata")
    text = names.contains("text")
    vector = names.contains("vector")
  }
}

extension JSONWriter {
  mutating func point(_ point: Point, _ content: PointContent) {
    object { writer in
      writer.member("id", point.id)
      writer.content(of: point, content)
    }
  }

  /// What is wanted of a point and stored, beside its id.
  mutating func content(of point: Point, _ content: PointContent) {
    if content.vector {
      key("vector")
      point.vector.withUnsafeBufferPointer { floats($0) }
    }
    if content.text, let stored = point.text { member("text", stored) }
    if content.metadata, let stored = point.metadata {
      key("metadata")
      raw(stored)
    }
  }
}

extension Int {
  /// Digits only: no sign, no space, no overflow.
  init?(decimal text: String) {
    guard !text.isEmpty, text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else {
      return nil
    }
    self.init(text)
  }
}
