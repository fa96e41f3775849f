import CSQLite
import Foundation
import SQLiteRecords
import Testing
import VectorIndex
import VectorStore

/// A temporary folder for one test, which is removed when the object is released.
package final class TemporaryFolder {
  package let path: String
  package var database: String { path + "/nearfar.sqlite" }

  package init() throws {
    let url = FileManager.default.temporaryDirectory.appendingPathComponent("nearfar-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    path = url.path
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  /// Another folder with the same files.
  package func copy() throws -> TemporaryFolder {
    let other = try TemporaryFolder()
    for (name, bytes) in try contents() {
      try bytes.write(to: URL(fileURLWithPath: "\(other.path)/\(name)"))
    }
    return other
  }

  /// The contents of every file that is not empty. The index of the log is left out, because SQLite makes it again.
  package func contents() throws -> [String: Data] {
    var contents: [String: Data] = [:]
    for name in try FileManager.default.contentsOfDirectory(atPath: path) where !name.hasSuffix("-shm") {
      let bytes = try Data(contentsOf: URL(fileURLWithPath: "\(path)/\(name)"))
      if !bytes.isEmpty { contents[name] = bytes }
    }
    return contents
  }

  /// Runs SQL on the database while no store has it open.
  package func run(_ sql: String) throws {
    var handle: OpaquePointer?
    defer { sqlite3_close_v2(handle) }
    try #require(sqlite3_open(database, &handle) == SQLITE_OK)
    try #require(sqlite3_exec(handle, sql, nil, nil, nil) == SQLITE_OK)
  }

  /// The number of rows in a table of the database while no store has it open.
  package func count(_ table: String) throws -> Int {
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

  /// Converts the database to an earlier format while no store has it open.
  package func make(format: Int) throws { try run("DROP TABLE recall_targets; PRAGMA user_version = \(format)") }

  /// A store over the folder.
  package func open(vfs: String? = nil) throws -> CollectionStore { try CollectionStore(data: .folder(path), vfs: vfs) }
}

extension CollectionStore {
  /// A store over records in SQLite.
  package convenience init(
    data: DataLocation = .memory, index options: IndexOptions = IndexOptions(), vfs: String? = nil,
    readOnly: Bool = false, bounds: RecordBounds = RecordBounds(),
    progress: @escaping @Sendable (String) -> Void = { _ in }
  ) throws(OpenError) {
    try self.init(
      records: try SQLiteRecords.open(data, vfs: vfs, readOnly: readOnly, bounds: bounds, progress: progress),
      index: options, progress: progress)
  }
}
