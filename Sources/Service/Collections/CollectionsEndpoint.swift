import HTTP1
import JSON
import VectorIndex
import VectorStore

/// `/collections` and `/collections/{name}`: making, listing, describing and deleting collections.
struct CollectionsEndpoint: Sendable {
  let store: CollectionStore
  let models: TextModels
  let limits: Limits
  /// The collection that is always there, and its dimension.
  let standing: (name: String, dimension: Int)

  func create(_ call: Call) throws {
    let name = try call.name(of: "a collection")
    var fields = try Fields(try call.json(limits))
    guard let dimension = try fields.integer("dim", in: 1...limits.maxDimension) else {
      throw Problem.invalid("dim", "is required")
    }
    let metric = Metric(rawValue: try fields.choice("metric", of: Metric.allCases.map(\.rawValue))) ?? .cosine
    let recallTarget = try fields.recallTargetChange()
    let engine = try EngineRequest(&fields)
    try fields.finish()
    if try createInDatabase(name, dimension: dimension, metric, recallTarget, engine, call) { return }
    // This queue does not wait for the disk.
    store.create(name, dimension: dimension, metric: metric, recallTarget: recallTarget) { result in
      switch result {
      case .failure(let error): call.fail(Problem(describing: error))
      case .success(let (collection, created)):
        let snapshot = collection.snapshot
        call.note(collection.token(snapshot.version))
        call.answer(status: created ? 201 : 200) { describe(collection, snapshot, to: &$0) }
      }
    }
  }

  func list(_ call: Call) {
    call.answer { writer in
      writer.beginObject()
      writer.key("collections")
      writer.beginArray()
      for write in descriptions { write(&writer) }
      writer.endArray()
      writer.endObject()
    }
  }

  func describe(_ call: Call) throws {
    let name = try call.name(of: "a collection")
    try call.read(try call.head.consistency(), store, inPath: name) {
      if try describeInDatabase(name, call) { return }
      let collection = try store.collection(name)
      let snapshot = collection.snapshot
      call.note(collection.token(snapshot.version))
      call.answer { describe(collection, snapshot, to: &$0) }
    }
  }

  /// `GET /collections/{name}/digest`: what has to be equal on all replicas at the same version.
  func digest(_ call: Call) throws {
    let name = try call.name(of: "a collection")
    guard store.inDatabase(name) == nil else {
      throw Problem(409, "a collection with the engine pgvector is not copied to replicas, so it has no digest")
    }
    try call.read(try call.head.consistency(), store, inPath: name) {
      let collection = try store.collection(name)
      let snapshot = collection.snapshot
      guard store.isShared else {
        throw Problem(409, "replicas do not share this service's collections: a digest is kept where --store is given")
      }
      call.note(collection.token(snapshot.version))
      call.answer { writer in
        writer.object { writer in
          writer.member("version", snapshot.version)
          writer.member("epoch", Int(collection.epoch))
          writer.member("digest", Hexadecimal(UInt64(bitPattern: snapshot.digest)).text)
          writer.staleness(of: collection.name, in: store)
        }
      }
    }
  }

  func delete(_ call: Call) throws {
    let name = try call.name(of: "a collection")
    if try deleteInDatabase(name, call) { return }
    // Whoever comes with this token waits until the collection has gone where it asks.
    if let found = try? store.collection(name) { call.note(found.token(.max)) }
    store.delete(name) { result in
      switch result {
      case .failure(let error): call.fail(Problem(describing: error))
      case .success where name == standing.name:
        // It is deleted in order to be empty, or to get the dimension of another model: it is there again at once.
        store.create(name, dimension: standing.dimension) { result in
          switch result {
          // What the answer tells of is the new one.
          case .success(let (made, _)):
            call.note(made.token(made.snapshot.version))
            call.answer(Response(status: 204))
          // Another request may have been faster, with another dimension.
          case .failure(.conflict):
            if let made = try? store.collection(name) { call.note(made.token(made.snapshot.version)) }
            call.answer(Response(status: 204))
          case .failure(let error): call.fail(Problem(describing: error))
          }
        }
      case .success: call.answer(Response(status: 204))
      }
    }
  }

  private func describe(_ collection: VectorCollection, _ snapshot: CollectionSnapshot, to writer: inout JSONWriter) {
    writer.object { writer in
      Self.members(collection, snapshot, to: &writer)
      writer.staleness(of: collection.name, in: store)
      modelMembers(snapshot.model, to: &writer)
    }
  }

  /// What writes each collection, in the order of their names.
  private var descriptions: [(inout JSONWriter) -> Void] {
    let here = store.all.map { collection in
      (collection.name, { (writer: inout JSONWriter) in describe(collection, collection.snapshot, to: &writer) })
    }
    let kept = (store.database?.seen ?? []).map { each in
      (each.collection.name, { (writer: inout JSONWriter) in describe(each.collection, each.state, to: &writer) })
    }
    return (here + kept).sorted { $0.0 < $1.0 }.map(\.1)
  }

  /// What embeds the texts of a collection that remembers `model`, where that is loaded.
  func modelMembers(_ model: String?, to writer: inout JSONWriter) {
    guard let bound = model.flatMap(models.bound(to:)) else { return }
    writer.member("model_name", bound.texts.name)
    writer.key("prompts")
    writer.object { writer in
      writer.member("query", bound.query)
      writer.member("document", bound.document)
    }
  }

  /// The collection as `snapshot` has it.
  static func describe(_ collection: VectorCollection, _ snapshot: CollectionSnapshot, to writer: inout JSONWriter) {
    writer.object { members(collection, snapshot, to: &$0) }
  }

  private static func members(
    _ collection: VectorCollection, _ snapshot: CollectionSnapshot, to writer: inout JSONWriter
  ) {
    writer.member("name", collection.name)
    writer.member("count", snapshot.count)
    writer.member("dim", collection.dimension)
    writer.member("metric", collection.metric.rawValue)
    writer.member("recall_target", snapshot.recallTarget)
    writer.member("version", snapshot.version)
    writer.member("model", orNull: snapshot.model)
    writer.member("engine", EngineRequest.Engine.memory.rawValue)
  }
}
