import CSQLite
import VectorIndex
import VectorStore

/// A collection as its row has it, with what its points and tombstones add up to.
struct CollectionRow: Equatable {
  var stored: StoredCollection
  /// The sum of the checksums of its points and tombstones, modulo 2^64: it shows that a row is missing, doubled or old.
  var digest: Int64 = 0
  /// The number of remembered deletions. Counted while loading.
  var tombstones: Int64 = 0
  /// The newest version of which a deletion may have been forgotten; 0 while all are remembered. Found while loading.
  var horizon: Int64 = 0

  var id: Int64 { stored.id }

  /// Before the id, in the name that a dropped collection has until its rows are gone.
  private static let droppedPrefix = ":dropped:"

  var isDropped: Bool { stored.name.hasPrefix(Self.droppedPrefix) }

  /// As it is kept once it is dropped: its own name is free, and it has no recall target.
  var asDropped: CollectionRow {
    var dropped = self
    dropped.stored.name = "\(Self.droppedPrefix)\(id)"
    dropped.stored.recallTarget = nil
    return dropped
  }
}

/// The statements about whole collections, compiled once: their rows, their own recall targets, and the commit number.
///
/// A recall target is in the checksum of its collection as well, so that a target that is lost or old is found, too. Files of
/// earlier formats have no table of targets.
final class CollectionRows {
  private let connection: Connection
  private let insert: Statement
  private let update: Statement
  private let rename: Statement
  private let remove: Statement
  private let select: Statement
  private let selectCommitNumber: Statement
  private let putCommitNumber: Statement
  /// nil before an older file is brought to this format.
  private var targets: Targets?

  private struct Targets {
    let select: Statement
    let put: Statement
    let remove: Statement
  }

  init(_ connection: Connection) throws(SQLiteError) {
    self.connection = connection
    insert = try Statement(
      connection,
      "INSERT INTO collections (name, dim, metric, version, count, digest, checksum) VALUES (?, ?, ?, 0, 0, 0, 0) RETURNING id"
    )
    update = try Statement(
      connection, "UPDATE collections SET model = ?, version = ?, count = ?, digest = ?, checksum = ? WHERE id = ?")
    rename = try Statement(connection, "UPDATE collections SET name = ?, checksum = ? WHERE id = ?")
    remove = try Statement(connection, "DELETE FROM collections WHERE id = ?")
    select = try Statement(
      connection, "SELECT id, name, dim, metric, model, version, count, digest, checksum FROM collections ORDER BY id")
    selectCommitNumber = try Statement(
      connection, "SELECT version, checksum FROM tombstones WHERE collection = 0 AND id = 'mark'")
    putCommitNumber = try Statement(
      connection,
      """
      INSERT INTO tombstones (collection, id, version, checksum) VALUES (0, 'mark', ?, ?)
      ON CONFLICT (collection, id) DO UPDATE SET version = excluded.version, checksum = excluded.checksum
      """)
    try findTargets()
  }

  /// To be called again once an older file has been brought to this format.
  func findTargets() throws(SQLiteError) {
    guard try connection.value("SELECT name FROM sqlite_master WHERE name = 'recall_targets'") != nil else { return }
    targets = Targets(
      select: try Statement(connection, "SELECT collection, target, checksum FROM recall_targets ORDER BY collection"),
      put: try Statement(
        connection,
        """
        INSERT INTO recall_targets (collection, target, checksum) VALUES (?, ?, ?)
        ON CONFLICT (collection) DO UPDATE SET target = excluded.target, checksum = excluded.checksum
        """),
      remove: try Statement(connection, "DELETE FROM recall_targets WHERE collection = ?"))
  }

  // MARK: Writing

  func create(
    _ name: String, dimension: Int, metric: Metric, recallTarget: RecallTarget?
  ) throws(SQLiteError) -> CollectionRow {
    let id = try insert.first(.text(name), .integer(Int64(dimension)), .text(metric.rawValue)) { $0.integer(0) }
    guard let id else { throw SQLiteError(code: SQLITE_INTERNAL, message: "no id for a new collection") }
    let made = CollectionRow(
      stored: StoredCollection(id: id, name: name, dimension: dimension, metric: metric, recallTarget: recallTarget))
    try write(made)
    if recallTarget != nil { try writeTarget(of: made) }
    return made
  }

  /// Writes everything of a collection that can change but its recall target.
  func write(_ row: CollectionRow) throws(SQLiteError) {
    try update.run(
      .text(row.stored.model), .integer(Int64(row.stored.version)), .integer(Int64(row.stored.count)),
      .integer(row.digest), .integer(RowChecksum.of(row)), .integer(row.id))
  }

  /// Writes the recall target, or removes it where the collection has none of its own.
  func writeTarget(of row: CollectionRow) throws(SQLiteError) {
    guard let targets else { throw SQLiteError(code: SQLITE_MISUSE, message: "the file is of an older format") }
    guard let target = row.stored.recallTarget else { return try targets.remove.run(.integer(row.id)) }
    let checksum = RowChecksum.of(target, collection: row.id)
    try targets.put.run(.integer(row.id), .real(target.value), .integer(checksum))
  }

  /// - Parameter row: as it is once it is dropped.
  func writeDropped(_ row: CollectionRow) throws(SQLiteError) {
    try rename.run(.text(row.stored.name), .integer(RowChecksum.of(row)), .integer(row.id))
    try targets?.remove.run(.integer(row.id))
  }

  func delete(_ row: CollectionRow) throws(SQLiteError) { try remove.run(.integer(row.id)) }

  func writeCommitNumber(_ number: Int64) throws(SQLiteError) {
    try putCommitNumber.run(.integer(number), .integer(RowChecksum.ofCommitNumber(number)))
  }

  // MARK: Reading

  /// Every collection, dropped ones included.
  ///
  /// - Throws: for a row that is not as it was written.
  func read() throws(SQLiteError) -> [CollectionRow] {
    var all: [CollectionRow] = []
    var targets = try readTargets()
    func read(_ row: Statement) throws(SQLiteError) -> Bool {
      guard let name = row.text(1), let metric = Metric(rawValue: row.text(3) ?? ""),
        let dimension = Int(exactly: row.integer(2)), dimension > 0,
        let version = Int(exactly: row.integer(5)), let count = Int(exactly: row.integer(6))
      else { throw row.failure("a collection is not as it was written") }
      let stored = StoredCollection(
        id: row.integer(0), name: name, dimension: dimension, metric: metric, model: row.text(4),
        recallTarget: targets.removeValue(forKey: row.integer(0)), version: version, count: count)
      let collection = CollectionRow(stored: stored, digest: row.integer(7))
      guard RowChecksum.of(collection) == row.integer(8), version >= 0, count >= 0 else {
        throw row.failure("collection '\(name)' is not as it was written")
      }
      all.append(collection)
      return true
    }
    try select.forEach(failure: { $0 }, read: read)
    if let owner = targets.keys.min() {
      throw SQLiteError.damage("there is a recall target of collection \(owner), which is missing")
    }
    return all
  }

  /// The recall targets by collection.
  private func readTargets() throws(SQLiteError) -> [Int64: RecallTarget] {
    var all: [Int64: RecallTarget] = [:]
    func read(_ row: Statement) throws(SQLiteError) -> Bool {
      let collection = row.integer(0)
      guard let target = RecallTarget(row.real(1)),
        RowChecksum.of(target, collection: collection) == row.integer(2)
      else { throw row.failure("the recall target of collection \(collection) is not as it was written") }
      all[collection] = target
      return true
    }
    try targets?.select.forEach(failure: { $0 }, read: read)
    return all
  }

  /// The commit number (``CommitMark``); 0 when there never was one.
  ///
  /// - Throws: for a row that is not as it was written.
  func readCommitNumber() throws(SQLiteError) -> Int64 {
    guard let (number, checksum) = try selectCommitNumber.first(read: { ($0.integer(0), $0.integer(1)) }) else {
      return 0
    }
    guard checksum == RowChecksum.ofCommitNumber(number) else {
      throw SQLiteError.damage("its mark is not as it was written")
    }
    return number
  }
}
