import HTTP1
import JSON
import VectorStore

/// A collection that stays in the database, and where requests wait for it: never on an event loop or a work queue.
struct DatabaseAccess: Sendable {
  let engine: any DatabaseEngine
  let collection: DatabaseCollection

  /// Runs `work` where it may wait for the database; what it throws becomes the call's answer.
  func run(_ call: Call, _ work: @escaping @Sendable () throws -> Void) throws(Problem) {
    try engine.run(call, work)
  }
}

extension DatabaseEngine {
  func run(_ call: Call, _ work: @escaping @Sendable () throws -> Void) throws(Problem) {
    let isTaken = submit {
      call.perform {
        try call.beginWork()
        try work()
      }
    }
    guard isTaken else { throw Problem(503, "too many requests wait for the database") }
  }
}

extension CollectionStore {
  /// The collection that the call's path names, where it stays in the database.
  func inDatabase(_ call: Call) throws(Problem) -> DatabaseAccess? {
    inDatabase(try call.name(of: "a collection"))
  }

  func inDatabase(_ name: String) -> DatabaseAccess? {
    guard let engine = database, let found = engine.find(name) else { return nil }
    return DatabaseAccess(engine: engine, collection: found)
  }
}

extension PointContent {
  var parts: PointParts { PointParts(vector: vector, text: text, metadata: metadata) }
}
