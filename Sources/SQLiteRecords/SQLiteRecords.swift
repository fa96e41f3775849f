import Dispatch
import VectorStore

/// Where a service keeps its data.
public enum DataLocation: Sendable, Equatable, CustomStringConvertible {
  /// In memory: it ends with the process.
  case memory
  /// In a folder, which is made if there is none.
  case folder(String)

  public var description: String {
    switch self {
    case .memory: ":memory:"
    case .folder(let path): path
    }
  }
}

/// Records in SQLite, in a data folder or in memory.
///
/// Every use of the database is a block on one serial queue, so that the rows of dropped collections go in short transactions
/// between the commits, and the commit number (``CommitMark``) goes up a second after one.
// SAFETY: @unchecked because every variable is used on `queue` only, or in `init`, before anybody else has the object.
package final class SQLiteRecords: Records, @unchecked Sendable {
  package let location: RecordsLocation
  package let isReadOnly: Bool
  private let queue = DispatchQueue(label: "nearfar.records.sqlite", qos: .userInitiated)
  /// nil once it is closed.
  private var tables: RecordTables?
  /// Locked until it is closed; nil in memory.
  private var folder: DataFolder?
  /// Where flushed commits are noted; nil where nothing is.
  private let mark: CommitMark?
  private var isSweeping = false
  /// Commits since the commit number went up.
  private var isNoteDue = false

  /// Opens the records at `location`, or makes new ones. A folder is locked until ``close()``.
  ///
  /// - Parameters:
  ///   - vfs: a registered file system of SQLite's; nil for its own.
  ///   - readOnly: treats a folder as one that cannot be written.
  ///   - progress: receives a line of text now and then.
  /// - Throws: ``OpenError`` naming the path: a folder that is in use or cannot be made, a newer or foreign file, damage. The
  ///   files are then as they were.
  package static func open(
    _ location: DataLocation, vfs: String? = nil, readOnly: Bool = false, bounds: RecordBounds = RecordBounds(),
    progress: (String) -> Void = { _ in }
  ) throws(OpenError) -> SQLiteRecords {
    switch location {
    case .memory: return try SQLiteRecords(inMemory: bounds)
    case .folder(let path):
      let folder = try DataFolder(path, readOnly: readOnly)
      if folder.isReadOnly { progress("the folder \(path) cannot be written: its collections are served read-only") }
      let records = try SQLiteRecords(in: folder, vfs: vfs, writes: true, bounds: bounds)
      folder.noteDatabase()
      return records
    }
  }

  private init(inMemory bounds: RecordBounds) throws(OpenError) {
    let path = DataLocation.memory.description
    location = RecordsLocation(kind: "memory", description: path, folder: nil)
    isReadOnly = false
    mark = nil
    let tables = try RecordTables(path: path, vfs: nil, creates: true, readOnly: false, bounds: bounds)
    try tables.prepareToWrite()
    self.tables = tables
  }

  /// - Parameter writes: whether commits will follow; in a folder that cannot be written there are none in any case.
  init(in folder: DataFolder, vfs: String?, writes: Bool, bounds: RecordBounds) throws(OpenError) {
    location = RecordsLocation(kind: "folder", description: folder.path, folder: folder.path)
    isReadOnly = folder.isReadOnly
    let path = folder.database
    let writes = writes && !folder.isReadOnly
    // SQLite would remove the log of an empty database, and everything that was committed may be in it.
    guard !LogCheck.isEmpty(path) || LogCheck.isEmpty("\(path)-wal") else {
      throw OpenError("\(path) cannot be used: it is empty, though there is a log of it", cause: .damaged)
    }
    try LogCheck.check("\(path)-wal")
    let mark = CommitMark(in: folder.path)
    let noted = mark.read()
    let tables = try RecordTables(
      path: path, vfs: vfs, creates: writes && !folder.hadDatabase, readOnly: folder.isReadOnly, bounds: bounds)
    try mark.check(tables.commitNumber, against: noted, in: path)
    try tables.checkOwners()
    if writes { try tables.prepareToWrite() } else { try tables.refuseWrites() }
    self.mark = writes ? mark : nil
    self.tables = tables
    self.folder = folder
  }

  // The database is closed before the folder is unlocked.
  deinit {
    tables = nil
    folder = nil
  }

  package func collections() throws(StoreError) -> [StoredCollection] {
    try withTables { tables throws(StoreError) in tables.catalog.values.map(\.stored).sorted { $0.id < $1.id } }
  }

  package func load(
    _ collection: StoredCollection, _ body: (Point) throws(OpenError) -> Void
  ) throws(OpenError) {
    try read { tables throws(OpenError) in try tables.load(collection, body) }
  }

  /// Runs `body` with the tables, while nothing else reads or writes them.
  func read(_ body: (RecordTables) throws(OpenError) -> Void) throws(OpenError) {
    let result = queue.sync { () -> Result<Void, OpenError> in
      guard let tables else { return .failure(OpenError("\(location) is closed")) }
      do throws(OpenError) {
        return .success(try body(tables))
      } catch {
        return .failure(error)
      }
    }
    try result.get()
  }

  package func beginWriting() throws(OpenError) {
    let result = queue.sync { () -> Result<Void, OpenError> in
      guard let tables else { return .failure(OpenError("\(location) is closed")) }
      do throws(OpenError) {
        try tables.beginWriting()
      } catch {
        return .failure(error)
      }
      // What the killed process had no time to note.
      if tables.hadLog { note() }
      sweepSoon()
      return .success(())
    }
    try result.get()
  }

  package func commit(_ group: [RecordChange]) throws(StoreError) -> [Result<Committed, StoreError>] {
    try withTables { tables throws(StoreError) in
      // A sweep that failed is tried again after the next commit.
      defer { sweepSoon() }
      let results = try tables.commit(group)
      noteSoon()
      return results
    }
  }

  package func changes(of collection: Int64, after version: Int, limit: Int) throws(StoreError) -> ChangePage {
    try withTables { tables throws(StoreError) in
      try tables.changes(of: collection, after: version, limit: limit)
    }
  }

  package func close() {
    queue.sync {
      noteIfDue()
      tables = nil
      folder = nil
    }
  }

  /// Runs `body` while nothing is read or written. For tests.
  package func whileIdle(_ body: () -> Void) { queue.sync(execute: body) }

  private func withTables<Answer>(_ body: (RecordTables) throws(StoreError) -> Answer) throws(StoreError) -> Answer {
    let result = queue.sync { () -> Result<Answer, StoreError> in
      guard let tables else { return .failure(.unavailable("the store is closed")) }
      do throws(StoreError) {
        return .success(try body(tables))
      } catch {
        return .failure(error)
      }
    }
    return try result.get()
  }

  // MARK: Between the commits, on the queue

  /// Deletes the rows of dropped collections, a piece between two commits, until none is left or it cannot be done.
  private func sweepSoon() {
    guard !isSweeping, tables?.needsSweeping == true else { return }
    isSweeping = true
    queue.async { self.sweepPiece() }
  }

  private func sweepPiece() {
    isSweeping = false
    do throws(StoreError) {
      try tables?.sweep()
    } catch {
      return
    }
    sweepSoon()
  }

  /// Notes within a second that there was a commit.
  private func noteSoon() {
    guard mark != nil, !isNoteDue else { return }
    isNoteDue = true
    queue.asyncAfter(deadline: .now() + .seconds(1)) { [weak self] in self?.noteIfDue() }
  }

  private func noteIfDue() {
    guard isNoteDue else { return }
    isNoteDue = false
    note()
  }

  /// Lets the commit number go up and notes it once it is flushed. When that fails, the next commit leads here again.
  private func note() {
    guard let mark, let number = try? tables?.advanceCommitNumber() else { return }
    mark.write(number)
  }
}
