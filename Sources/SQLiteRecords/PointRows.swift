import VectorStore

/// Bounds on what the records keep and on what one transaction does beside its changes; smaller in tests.
package struct RecordBounds: Sendable {
  /// Deletions of a collection that are remembered; as many as it has points, where those are more.
  package var tombstones: Int64 = 100_000
  /// Rows of a dropped collection that one transaction deletes.
  package var sweptRows = 1000
  /// Values that the vectors of these rows have together, at most: 4 MB.
  package var sweptValues = 1 << 20

  package init() {}
}

/// The statements about points and their tombstones (remembered deletions), compiled once.
final class PointRows {
  private let connection: Connection
  private let bounds: RecordBounds
  private let selectChecksum: Statement
  private let upsertPoint: Statement
  private let deletePoint: Statement
  private let insertTombstone: Statement
  private let deleteTombstone: Statement
  private let selectOldestTombstones: Statement
  /// Delete some points, and some tombstones, of a collection.
  private let sweeps: [Statement]
  private let selectPoints: Statement
  private let selectTombstones: Statement

  /// The id, which no point has, of the tombstone whose version is the horizon.
  private static let horizonID = ""

  init(_ connection: Connection, _ bounds: RecordBounds) throws(SQLiteError) {
    self.connection = connection
    self.bounds = bounds
    selectChecksum = try Statement(connection, "SELECT checksum FROM points WHERE collection = ? AND id = ?")
    upsertPoint = try Statement(
      connection,
      """
      INSERT INTO points (collection, id, vector, text, metadata, version, checksum) VALUES (?, ?, ?, ?, ?, ?, ?)
      ON CONFLICT (collection, id) DO UPDATE SET vector = excluded.vector, text = excluded.text,
      metadata = excluded.metadata, version = excluded.version, checksum = excluded.checksum
      """)
    deletePoint = try Statement(connection, "DELETE FROM points WHERE collection = ? AND id = ? RETURNING checksum")
    insertTombstone = try Statement(
      connection, "INSERT INTO tombstones (collection, id, version, checksum) VALUES (?, ?, ?, ?)")
    deleteTombstone = try Statement(
      connection, "DELETE FROM tombstones WHERE collection = ? AND id = ? RETURNING checksum")
    selectOldestTombstones = try Statement(
      connection,
      "SELECT id, version FROM tombstones WHERE collection = ? AND id <> '' ORDER BY version, id LIMIT ?")
    // In the order of their versions: rows that were written together are close to each other in the file, too.
    sweeps = [
      try Statement(
        connection,
        """
        DELETE FROM points WHERE rowid IN
        (SELECT rowid FROM points WHERE collection = ? ORDER BY version LIMIT ?)
        """),
      try Statement(
        connection,
        """
        DELETE FROM tombstones WHERE (collection, id) IN
        (SELECT collection, id FROM tombstones WHERE collection = ? ORDER BY version LIMIT ?)
        """),
    ]
    selectPoints = try Statement(
      connection,
      """
      SELECT id, vector, text, metadata, version, checksum FROM points WHERE collection = ? AND version > ?
      ORDER BY version, rowid
      """)
    selectTombstones = try Statement(
      connection,
      "SELECT id, version, checksum FROM tombstones WHERE collection = ? AND version > ? ORDER BY version, id")
  }

  // MARK: Writing

  /// Writes a point with the collection's version, and brings the collection's sums up to date.
  func upsert(_ point: Point, _ collection: inout CollectionRow) throws(SQLiteError) {
    let key = (Statement.Value.integer(collection.id), Statement.Value.text(point.id))
    if let replaced = try selectChecksum.first(key.0, key.1, read: { $0.integer(0) }) {
      collection.digest &-= replaced
    } else {
      collection.stored.count += 1
      if let erased = try deleteTombstone.first(key.0, key.1, read: { $0.integer(0) }) {
        collection.digest &-= erased
        collection.tombstones -= 1
      }
    }
    let version = Int64(collection.stored.version)
    let checksum = RowChecksum.of(point, collection: collection.id, version: version)
    try upsertPoint.run(
      key.0, key.1, .floats(point.vector), .text(point.text), .utf8(point.metadata), .integer(version),
      .integer(checksum))
    collection.digest &+= checksum
  }

  /// Deletes a point and remembers that.
  ///
  /// - Returns: whether there was such a point.
  func delete(_ id: String, _ collection: inout CollectionRow) throws(SQLiteError) -> Bool {
    let removed = try deletePoint.first(.integer(collection.id), .text(id)) { $0.integer(0) }
    guard let removed else { return false }
    collection.digest &-= removed
    collection.stored.count -= 1
    try addTombstone(id, version: Int64(collection.stored.version), &collection)
    collection.tombstones += 1
    return true
  }

  /// Forgets the oldest deletions beyond the bound, and stores from which version on all are remembered.
  func forget(_ collection: inout CollectionRow, deleted: Int) throws(SQLiteError) {
    let excess = collection.tombstones - max(bounds.tombstones, Int64(collection.stored.count))
    guard excess > 0 else { return }
    var oldest: [(id: String, version: Int64)] = []
    // More than have been added, so that an excess shrinks, but not many more, so that no transaction takes long.
    let most = min(excess, 2 * Int64(deleted) + 1000)
    func take(_ row: Statement) throws(SQLiteError) -> Bool {
      oldest.append((row.text(0) ?? "", row.integer(1)))
      return true
    }
    try selectOldestTombstones.forEach(.integer(collection.id), .integer(most), failure: { $0 }, read: take)
    for entry in oldest { try removeTombstone(entry.id, &collection) }
    guard let last = oldest.last else { return }
    collection.tombstones -= Int64(oldest.count)
    collection.horizon = last.version
    try removeTombstone(Self.horizonID, &collection)
    try addTombstone(Self.horizonID, version: last.version, &collection)
  }

  private func addTombstone(_ id: String, version: Int64, _ collection: inout CollectionRow) throws(SQLiteError) {
    let checksum = RowChecksum.ofTombstone(id, collection: collection.id, version: version)
    try insertTombstone.run(.integer(collection.id), .text(id), .integer(version), .integer(checksum))
    collection.digest &+= checksum
  }

  private func removeTombstone(_ id: String, _ collection: inout CollectionRow) throws(SQLiteError) {
    let checksum = try deleteTombstone.first(.integer(collection.id), .text(id)) { $0.integer(0) }
    collection.digest &-= checksum ?? 0
  }

  /// Deletes some of a dropped collection's rows.
  ///
  /// - Returns: whether none is left.
  func sweep(_ dropped: CollectionRow) throws(SQLiteError) -> Bool {
    let rows = max(1, min(bounds.sweptRows, bounds.sweptValues / dropped.stored.dimension))
    for statement in sweeps {
      try statement.run(.integer(dropped.id), .integer(Int64(rows)))
      if connection.changes > 0 { return false }
    }
    return true
  }

  // MARK: Reading

  /// What a row of the table of points holds.
  struct StoredPoint {
    /// nil when the row cannot be a point, because memory is missing or its values are not those of a point.
    let point: Point?
    let version: Int64
    let checksum: Int64
    /// Gives the error for a row that is not as it was written.
    let row: Statement
  }

  /// Calls `body` with the points that were written after `version`, in the order of their versions, until it returns false.
  func forEachPoint<Failure: Error>(
    of collection: StoredCollection, after version: Int64, failure: (SQLiteError) -> Failure,
    _ body: (StoredPoint) throws(Failure) -> Bool
  ) throws(Failure) {
    try selectPoints.forEach(.integer(collection.id), .integer(version), failure: failure) { row throws(Failure) in
      try body(
        StoredPoint(
          point: Self.point(row, dimension: collection.dimension), version: row.integer(4), checksum: row.integer(5),
          row: row))
    }
  }

  static func point(_ row: Statement, dimension: Int) -> Point? {
    guard let id = row.text(0), !id.isEmpty, let vector = row.floats(1), vector.count == dimension,
      vector.allSatisfy(\.isFinite)
    else { return nil }
    return Point(id: id, vector: vector, text: row.text(2), metadata: row.bytes(3))
  }

  /// What a row of the table of tombstones holds.
  struct Tombstone {
    /// nil for the one whose version is the horizon.
    let id: String?
    let version: Int64
    let checksum: Int64
    /// Whether the row is as it was written.
    let isWhole: Bool
    let row: Statement
  }

  /// As ``forEachPoint(of:after:failure:_:)``, for the remembered deletions.
  func forEachTombstone<Failure: Error>(
    of collection: StoredCollection, after version: Int64, failure: (SQLiteError) -> Failure,
    _ body: (Tombstone) throws(Failure) -> Bool
  ) throws(Failure) {
    try selectTombstones.forEach(.integer(collection.id), .integer(version), failure: failure) { row throws(Failure) in
      let id = row.text(0) ?? ""
      let checksum = RowChecksum.ofTombstone(id, collection: collection.id, version: row.integer(1))
      return try body(
        Tombstone(
          id: id == Self.horizonID ? nil : id, version: row.integer(1), checksum: checksum,
          isWhole: checksum == row.integer(2), row: row))
    }
  }

  /// The ids of the collections that have rows in a table; the commit number is a row of none.
  func owners(in table: String) throws(SQLiteError) -> [Int64] {
    // One step in the index for each collection, where DISTINCT would read all of the index.
    let next = try Statement(
      connection, "SELECT collection FROM \(table) WHERE collection > ? ORDER BY collection LIMIT 1")
    var owners: [Int64] = []
    while let owner = try next.first(.integer(owners.last ?? 0), read: { $0.integer(0) }) { owners.append(owner) }
    return owners
  }
}
