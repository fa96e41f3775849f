import CSQLite
import Foundation
import Synchronization
import TestSupport
import Testing
import VectorStore

/// A folder of a test's own, gone with it.
final class TemporaryFolder {
  let path: String
  var database: String { path + "/nearfar.sqlite" }

  init() throws {
    let url = FileManager.default.temporaryDirectory.appendingPathComponent("nearfar-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    path = url.path
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  /// Another folder with the same files.
  func copy() throws -> TemporaryFolder {
    let other = try TemporaryFolder()
    for (name, bytes) in try contents() {
      try bytes.write(to: URL(fileURLWithPath: "\(other.path)/\(name)"))
    }
    return other
  }

  /// Every file that is not empty, but for the index of the log, which is made anew.
  func contents() throws -> [String: Data] {
    var contents: [String: Data] = [:]
    for name in try FileManager.default.contentsOfDirectory(atPath: path) where !name.hasSuffix("-shm") {
      let bytes = try Data(contentsOf: URL(fileURLWithPath: "\(path)/\(name)"))
      if !bytes.isEmpty { contents[name] = bytes }
    }
    return contents
  }

  /// Changes the closed database behind the store's back.
  func run(_ sql: String) throws {
    var handle: OpaquePointer?
    defer { sqlite3_close_v2(handle) }
    try #require(sqlite3_open(database, &handle) == SQLITE_OK)
    try #require(sqlite3_exec(handle, sql, nil, nil, nil) == SQLITE_OK)
  }

  /// The rows of a table of the closed database.
  func count(_ table: String) throws -> Int {
    var handle: OpaquePointer?
    var statement: OpaquePointer?
    defer {
      sqlite3_finalize(statement)
      sqlite3_close_v2(handle)
    }
    try #require(sqlite3_open(database, &handle) == SQLITE_OK)
    try #require(sqlite3_prepare_v2(handle, "SELECT count(*) FROM \(table)", -1, &statement, nil) == SQLITE_OK)
    try #require(sqlite3_step(statement) == SQLITE_ROW)
    return Int(sqlite3_column_int64(statement, 0))
  }

  /// Makes the closed database one of an earlier format.
  func make(format: Int) throws { try run("DROP TABLE recall_targets; PRAGMA user_version = \(format)") }

  func open(vfs: String? = nil) throws -> CollectionStore { try CollectionStore(data: .folder(path), vfs: vfs) }
}

extension CollectionSnapshot {
  var all: [Point] { points(after: nil, limit: .max) }
}

extension Seeded {
  /// A point with a text and metadata every few times.
  mutating func point(_ id: String, dimension: Int = 4) -> Point {
    let kind = next() % 4
    return Point(
      id: id, vector: floats(dimension), text: kind == 1 ? "text of \(id)" : nil,
      metadata: kind >= 2 ? Array(#"{"n":\#(next() % 100)}"#.utf8) : nil)
  }
}

/// What a collection must hold, kept beside it.
struct Model: Equatable {
  var points: [String: Point] = [:]
  var version = 0

  var sorted: [Point] { points.values.sorted { $0.id.utf8.lexicographicallyPrecedes($1.id.utf8) } }

  mutating func upsert(_ batch: [Point]) {
    for point in batch { points[point.id] = point }
    version += 1
  }

  mutating func delete(_ ids: [String]) {
    let before = points.count
    for id in ids { points[id] = nil }
    if points.count != before { version += 1 }
  }

  func matches(_ snapshot: CollectionSnapshot) -> Bool { snapshot.version == version && snapshot.all == sorted }
}

/// What a store said while it was opened.
final class Lines: Sendable {
  private let lines = Mutex<[String]>([])
  var text: String { lines.withLock { $0.joined(separator: "\n") } }
  var add: @Sendable (String) -> Void { { line in self.lines.withLock { $0.append(line) } } }
}

extension VectorStore.Collection {
  /// As ``upsert(_:model:completion:)``, and waits.
  func upsert(_ points: [Point], model: String? = nil) throws(StoreError) -> Int {
    let answer = Answer<Int>()
    upsert(points, model: model) { answer.put($0) }
    return try answer.wait()
  }

  /// As ``delete(_:completion:)``, and waits.
  func delete(_ ids: [String]) throws(StoreError) -> (version: Int, deleted: Int) {
    let answer = Answer<(version: Int, deleted: Int)>()
    delete(ids) { answer.put($0) }
    return try answer.wait()
  }

  /// As ``delete(where:completion:)``, and waits.
  func delete(where filter: Filter) throws(StoreError) -> (version: Int, deleted: Int) {
    let answer = Answer<(version: Int, deleted: Int)>()
    delete(where: filter) { answer.put($0) }
    return try answer.wait()
  }
}

/// What a completion is given, for a test that waits for it.
final class Answer<Value: Sendable>: Sendable {
  private let arrived = DispatchSemaphore(value: 0)
  private let result = Mutex<Result<Value, StoreError>?>(nil)

  func put(_ result: Result<Value, StoreError>) {
    self.result.withLock { $0 = result }
    arrived.signal()
  }

  func wait() throws(StoreError) -> Value {
    arrived.wait()
    guard let result = result.withLock({ $0 }) else { throw .unavailable("there is no answer") }
    return try result.get()
  }
}
