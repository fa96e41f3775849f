import VectorIndex
import VectorStore

/// Checks a data folder as a start of the service would, and changes nothing in it.
public enum FolderCheck {
  /// - Parameters:
  ///   - threads: how many build a graph.
  ///   - progress: receives a line of text now and then.
  ///   - body: called with what was found, for each collection.
  /// - Throws: ``OpenError`` naming the path: a folder that is in use, a newer or foreign file, damage beyond one collection.
  public static func run(
    data folder: String, threads: Int = 1, progress: @escaping @Sendable (String) -> Void = { _ in },
    _ body: (CollectionFinding) -> Void
  ) throws(OpenError) {
    var options = IndexOptions()
    options.threads = max(1, threads)
    try run(data: folder, index: options, progress: progress, body)
  }

  /// - Parameters:
  ///   - vfs: a registered file system of SQLite's; nil for its own.
  ///   - readOnly: treats the folder as one that cannot be written.
  package static func run(
    data folder: String, index options: IndexOptions, vfs: String? = nil, readOnly: Bool = false,
    progress: @escaping @Sendable (String) -> Void = { _ in },
    _ body: (CollectionFinding) -> Void
  ) throws(OpenError) {
    // Neither the folder is made, nor a lock in a folder of something else.
    guard DataFolder.exists(folder) else { throw OpenError("\(DataFolder.database(in: folder)) is not there") }
    let opened = try DataFolder(folder, readOnly: readOnly)
    // The records hold the folder's lock until the check is done.
    let records = try SQLiteRecords(in: opened, vfs: vfs, writes: false, bounds: RecordBounds())
    defer { records.close() }
    try CollectionCheck.run(records, index: options, progress: progress, body)
  }
}
