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

  private static let mostListed = 10_000
  private static let defaultListed = 100

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
    try request.embed(with: chosen, for: call) { vectors in
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
    collection.upsert(request.points(embedded), model: model, key: call.changeKey) { result in
      switch result {
      case .failure(let error): call.fail(request.problem(error))
      case .success(let version): answer(collection.token(version), "upserted", request.drafts.count, call)
      }
    }
  }

  func get(_ call: Call) throws {
    let name = try call.name(of: "a collection")
    try call.read(try call.head.consistency(), store, inPath: name) {
      if let database = try inDatabase(call) { return try database.get(call) }
      let collection = try store.collection(name)
      let id = call.parameters.dropFirst().first ?? ""
      let snapshot = collection.snapshot
      guard let point = snapshot.point(id) else {
        throw Problem(404, "there is no point '\(id)' in collection '\(collection.name)'", param: "id")
      }
      call.note(collection.token(snapshot.version))
      call.answer { $0.point(point, .all) }
    }
  }

  /// `?after=ID&limit=N`: in the order of ids' bytes.
  func list(_ call: Call) throws {
    let collection = try call.name(of: "a collection")
    var after: String?
    var limit = Self.defaultListed
    for (name, value) in call.head.queryItems {
      switch name {
      case "after":
        try PointsRequest.check(after: value)
        after = value
      case "limit":
        guard let number = Int(decimal: value), (1...Self.mostListed).contains(number) else {
          throw Problem.invalid("limit", "must be a whole number from 1 to \(Self.mostListed)")
        }
        limit = number
      case "consistency": continue
      default: throw Problem.invalid(name, "unknown query parameter '\(name)'")
      }
    }
    try call.read(try call.head.consistency(), store, inPath: collection) { [after, limit] in
      if let database = try inDatabase(call) { return try database.list(nil, after: after, limit, .all, call) }
      let collection = try store.collection(collection)
      let snapshot = collection.snapshot
      answer(
        collection.token(snapshot.version), snapshot.points(after: after, limit: limit), limit, PointContent.all, call)
    }
  }

  /// `POST …/points/list`: the points that a filter matches, in the order of ids' bytes.
  func listMatching(_ call: Call) throws {
    let name = try call.name(of: "a collection")
    var fields = try Fields(try call.json(limits))
    let filter = try fields.filter("filter")
    let after = try fields.string("after")
    if let after { try PointsRequest.check(after: after) }
    let limit = try fields.integer("limit", in: 1...Self.mostListed) ?? Self.defaultListed
    let content = try PointContent(&fields)
    let consistency = try fields.consistency()
    try fields.finish()
    try call.read(consistency, store, inPath: name) {
      if let database = try inDatabase(call) {
        return try database.list(filter, after: after, limit, content, call)
      }
      let collection = try store.collection(name)
      let snapshot = collection.snapshot
      let points =
        filter.map { snapshot.points(matching: $0, after: after, limit: limit) }
        ?? snapshot.points(after: after, limit: limit)
      answer(collection.token(snapshot.version), points, limit, content, call)
    }
  }

  func answer(_ token: VersionToken, _ points: [Point], _ limit: Int, _ content: PointContent, _ call: Call) {
    call.note(token)
    call.answer { writer in
      writer.object { writer in
        writer.member("version", token.version)
        writer.staleness(of: token.name, in: store)
        writer.key("points")
        writer.array { for point in points { $0.point(point, content) } }
        writer.member("next_after", orNull: points.count == limit ? points.last?.id : nil)
      }
    }
  }

  /// `POST …/points/count`: how many points a filter matches, which are those that a deletion by it would take.
  func count(_ call: Call) throws {
    let name = try call.name(of: "a collection")
    var fields = try Fields(try call.json(limits))
    let filter = try fields.filter("filter")
    let consistency = try fields.consistency()
    try fields.finish()
    try call.read(consistency, store, inPath: name) {
      if let database = try inDatabase(call) { return try database.count(filter, call) }
      let collection = try store.collection(name)
      let snapshot = collection.snapshot
      let count = filter.map(snapshot.count(matching:)) ?? snapshot.count
      answer(collection.token(snapshot.version), "count", count, call)
    }
  }

  /// `PATCH …/points`: changes metadata; vectors and texts stay.
  func change(_ call: Call) throws {
    if let database = try inDatabase(call) {
      return try database.change(try MetadataRequest(try call.json(limits), limits), call)
    }
    let collection = try store.collection(try call.name(of: "a collection"))
    let request = try MetadataRequest(try call.json(limits), limits)
    collection.change(request.changes, request.mode, key: call.changeKey) { result in
      switch result {
      case .failure(let error): call.fail(Problem(error, points: "points"))
      case .success(let outcome):
        Self.answer(collection.token(outcome.version), updated: outcome.updated, missing: outcome.missing, call)
      }
    }
  }

  static func answer(_ token: VersionToken, updated: Int, missing: [String], _ call: Call) {
    call.note(token)
    call.answer { writer in
      writer.object { writer in
        writer.member("version", token.version)
        writer.member("updated", updated)
        writer.key("missing")
        writer.array { for id in missing { $0.string(id) } }
      }
    }
  }

  func delete(_ call: Call) throws {
    if let database = try inDatabase(call) { return try database.delete(try choice(call), call) }
    let collection = try store.collection(try call.name(of: "a collection"))
    let choice = try choice(call)
    let answered = { @Sendable (result: Result<(version: Int, deleted: Int), StoreError>) in
      switch result {
      case .failure(let error): call.fail(Problem(error, points: "ids"))
      case .success(let (version, deleted)): answer(collection.token(version), "deleted", deleted, call)
      }
    }
    switch choice {
    case .ids(let ids): collection.delete(ids, key: call.changeKey, completion: answered)
    case .matching(let filter): collection.delete(where: filter, key: call.changeKey, completion: answered)
    }
  }

  /// What the body says is to be deleted: exactly one of `ids` and `filter`.
  private func choice(_ call: Call) throws -> PointChoice {
    var fields = try Fields(try call.json(limits))
    let filter = try fields.filter("filter")
    let ids = try fields.take("ids").map { value throws(Problem) in try limits.texts(value, field: "ids") }
    try fields.finish()
    switch (ids, filter) {
    case (let ids?, nil): return .ids(ids)
    case (nil, let filter?): return .matching(filter)
    default:
      throw Problem.invalid(
        ids == nil ? "ids" : "filter", "exactly one of ids and filter is needed, not \(ids == nil ? "none" : "both")")
    }
  }

  func answer(_ token: VersionToken, _ what: String, _ count: Int, _ call: Call) {
    call.note(token)
    call.answer { writer in
      writer.beginObject()
      writer.member("version", token.version)
      writer.member(what, count)
      writer.staleness(of: token.name, in: store)
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
