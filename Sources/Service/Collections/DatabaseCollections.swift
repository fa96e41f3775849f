import HTTP1
import JSON
import VectorIndex
import VectorStore

/// Which engine a collection is wanted with, as `PUT /collections/{name}` says.
struct EngineRequest: Sendable {
  enum Engine: String, Sendable, CaseIterable {
    /// In the memory of the service, and of every replica.
    case memory
    /// In the database, with the index of its extension pgvector.
    case pgvector
  }

  /// nil where the request says nothing of it: that of an existing collection, or ``Engine/memory``.
  let engine: Engine?
  let storage: DatabaseStorage?

  init(_ fields: inout Fields) throws(Problem) {
    engine = try Self.choice("engine", &fields)
    storage = try Self.choice("storage", &fields)
    guard storage == nil || engine == .pgvector else {
      throw .invalid("storage", "is a setting of the engine pgvector alone")
    }
  }

  /// nil where the field is missing or null.
  private static func choice<Choice: RawRepresentable<String> & CaseIterable>(
    _ key: String, _ fields: inout Fields
  ) throws(Problem) -> Choice? {
    guard let text = try fields.string(key) else { return nil }
    guard let choice = Choice(rawValue: text) else {
      let known = Choice.allCases.map(\.rawValue).joined(separator: ", ")
      throw .invalid(fields.name(key), "must be one of \(known)")
    }
    return choice
  }
}

extension CollectionsEndpoint {
  /// Makes a collection in the database, where that is what the request wants or what it has met.
  ///
  /// - Returns: false when the collection is one in memory.
  func createInDatabase(
    _ name: String, dimension: Int, _ metric: Metric, _ recallTarget: RecallTargetChange, _ request: EngineRequest,
    _ call: Call
  ) throws(Problem) -> Bool {
    let found = store.inDatabase(name)
    guard request.engine == .pgvector || (found != nil && request.engine == nil) else {
      guard found == nil else { throw Problem(409, "collection '\(name)' exists with the engine pgvector") }
      return false
    }
    guard let engine = store.database else {
      throw .invalid("engine", "pgvector needs a database: the service was started without --store")
    }
    if found == nil, store.all.contains(where: { $0.name == name }) {
      throw Problem(409, "collection '\(name)' exists with the engine memory")
    }
    if found == nil {
      let storage = request.storage ?? .halfvec
      guard dimension <= storage.mostDimensions else {
        throw .invalid(
          "dim", "may be at most \(storage.mostDimensions) with the engine pgvector and the storage \(storage.rawValue)"
        )
      }
    }
    try engine.run(call) {
      let (collection, state, created) = try engine.create(
        name, dimension: dimension, metric: metric, recallTarget: recallTarget, storage: request.storage)
      call.note(collection.token(state.version))
      call.answer(status: created ? 201 : 200) { describe(collection, state, to: &$0) }
    }
    return true
  }

  /// - Returns: false when the collection is not in the database.
  func describeInDatabase(_ name: String, _ call: Call) throws(Problem) -> Bool {
    guard let access = store.inDatabase(name) else { return false }
    try access.run(call) {
      let state = try access.engine.state(of: access.collection)
      call.note(access.collection.token(state.version))
      call.answer { describe(access.collection, state, to: &$0) }
    }
    return true
  }

  /// - Returns: false when the collection is not in the database.
  func deleteInDatabase(_ name: String, _ call: Call) throws(Problem) -> Bool {
    guard let access = store.inDatabase(name) else { return false }
    try access.run(call) {
      try access.engine.drop(access.collection)
      // Whoever comes with this token waits until the collection has gone where it asks.
      call.note(access.collection.token(.max))
      call.answer(Response(status: 204))
    }
    return true
  }

  func describe(_ collection: DatabaseCollection, _ state: DatabaseState, to writer: inout JSONWriter) {
    writer.object { writer in
      Self.members(collection, state, to: &writer)
      modelMembers(state.model, to: &writer)
    }
  }

  static func members(_ collection: DatabaseCollection, _ state: DatabaseState, to writer: inout JSONWriter) {
    writer.member("name", collection.name)
    writer.member("count", state.count)
    writer.member("dim", collection.dimension)
    writer.member("metric", collection.metric.rawValue)
    writer.member("recall_target", state.recallTarget)
    writer.member("version", state.version)
    writer.member("model", orNull: state.model)
    writer.member("engine", EngineRequest.Engine.pgvector.rawValue)
    writer.member("storage", collection.storage.rawValue)
  }
}
