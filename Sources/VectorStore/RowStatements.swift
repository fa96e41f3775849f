import CSQLite
import VectorIndex

/// The statements that read and write rows, compiled once.
final class RowStatements {
  private let insertCollection: Statement
  private let updateCollection: Statement
  private let selectCollections: Statement
  private let selectChecksum: Statement
  private let upsertPoint: Statement
  private let deletePoint: Statement
  let insertTombstone: Statement
  let deleteTombstone: Statement
  let selectOldestTombstones: Statement
  private let renameCollection: Statement
  let deleteCollection: Statement
  /// Some points, then some deletions, of a collection.
  let sweeps: [Statement]
  private let selectMark: Statement
  private let putMark: Statement
  let selectPoints: Statement
  let selectTombstones: Statement
  /// nil before an older file was upgraded.
  private var targets: RecallTargetRows?
  let database: Database
  let bounds: RecordBounds

  init(_ database: Database, _ bounds: RecordBounds) throws(SQLiteError) {
    self.database = database
    self.bounds = bounds
    insertCollection = try Statement(
      database,
      "INSERT INTO collections (name, dim, metric, version, count, digest, checksum) VALUES (?, ?, ?, 0, 0, 0, 0) RETURNING id"
    )
    updateCollection = try Statement(
      database, "UPDATE collections SET model = ?, version = ?, count = ?, digest = ?, checksum = ? WHERE id = ?")
    selectCollections = try Statement(
      database, "SELECT id, name, dim, metric, model, version, count, digest, checksum FROM collections ORDER BY id")
    selectChecksum = try Statement(database, "SELECT checksum FROM points WHERE collection = ? AND id = ?")
    upsertPoint = try Statement(
      database,
      """
      INSERT INTO points (collection, id, vector, text, metadata, version, checksum) VALUES (?, ?, ?, ?, ?, ?, ?)
      ON CONFLICT (collection, id) DO UPDATE SET vector = excluded.vector, text = excluded.text,
      metadata = excluded.metadata, version = excluded.version, checksum = excluded.checksum
      """)
    deletePoint = try Statement(
      database, "DELETE FROM points WHERE collection = ? AND id = ? RETURNING checksum")
    insertTombstone = try Statement(
      database, "INSERT INTO tombstones (collection, id, version, checksum) VALUES (?, ?, ?, ?)")
    deleteTombstone = try Statement(
      database, "DELETE FROM tombstones WHERE collection = ? AND id = ? RETURNING checksum")
    selectOldestTombstones = try Statement(
      database,
      "SELECT id, version FROM tombstones WHERE collection = ? AND id <> '' ORDER BY version, id LIMIT ?")
    renameCollection = try Statement(database, "UPDATE collections SET name = ?, checksum = ? WHERE id = ?")
    deleteCollection = try Statement(database, "DELETE FROM collections WHERE id = ?")
    // In the order in which they came: neighbours there are neighbours in the file, too.
    sweeps = [
      try Statement(
        database,
        """
        DELETE FROM points WHERE rowid IN
        (SELECT rowid FROM points WHERE collection = ? ORDER BY version LIMIT ?)
        """),
      try Statement(
        database,
        """
        DELETE FROM tombstones WHERE (collection, id) IN
        (SELECT collection, id FROM tombstones WHERE collection = ? ORDER BY version LIMIT ?)
        """),
    ]
    selectMark = try Statement(
      database, "SELECT version, checksum FROM tombstones WHERE collection = 0 AND id = 'mark'")
    putMark = try Statement(
      database,
      """
      INSERT INTO tombstones (collection, id, version, checksum) VALUES (0, 'mark', ?, ?)
      ON CONFLICT (collection, id) DO UPDATE SET version = excluded.version, checksum = excluded.checksum
      """)
    selectPoints = try Statement(
      database,
      """
      SELECT id, vector, text, metadata, version, checksum FROM points WHERE collection = ? AND version > ?
      ORDER BY version, rowid
      """)
    selectTombstones = try Statement(
      database,
      "SELECT id, version, checksum FROM tombstones WHERE collection = ? AND version > ? ORDER BY version, id")
    try findTargets()
  }

  /// To be called again once an older file was upgraded.
  func findTargets() throws(SQLiteError) { targets = try RecallTargetRows(database) }

  /// Stores one change within a transaction, and brings `state` up to date.
  func write(
    _ change: RecordChange, _ state: inout [Int64: StoredCollection]
  ) throws(SQLiteError) -> Result<Committed, StoreError> {
    switch change {
    case .create(let name, let dimension, let metric, let target):
      if state.values.contains(where: { $0.name == name }) { return .failure(.conflict("collection '\(name)' exists")) }
      let id = try insertCollection.first(
        .text(name), .integer(Int64(dimension)), .text(metric.rawValue)
      ) { $0.integer(0) }
      guard let id else { throw SQLiteError(code: SQLITE_INTERNAL, message: "no id for a new collection") }
      let made = StoredCollection(id: id, name: name, dimension: dimension, metric: metric, recallTarget: target)
      try update(made)
      if target != nil { try write(target, of: id) }
      state[id] = made
      return .success(.created(made))
    case .drop(let id):
      guard let dropped = state.removeValue(forKey: id)?.asDropped else {
        return .failure(.unknownCollection("\(id)"))
      }
      // Its rows are swept later: a million of them would keep every writer waiting.
      try renameCollection.run(.text(dropped.name), .integer(RowChecksum.of(dropped)), .integer(id))
      try targets?.write(nil, of: id)
      return .success(.dropped)
    case .retarget(let id, let target):
      guard var collection = state[id] else { return .failure(.unknownCollection("\(id)")) }
      collection.recallTarget = target
      try write(target, of: id)
      try update(collection)
      state[id] = collection
      return .success(.retargeted)
    case .upsert(let id, let points, let model):
      guard var collection = state[id] else { return .failure(.unknownCollection("\(id)")) }
      if let model {
        if let held = collection.model, held != model {
          return .failure(.conflict("the collection's texts were embedded by another model, \(held)"))
        }
        collection.model = model
      }
      if !points.isEmpty {
        collection.version += 1
        for point in points { try upsert(point, &collection) }
        try update(collection)
        state[id] = collection
      }
      return .success(.changed(version: Int(collection.version), points: points.count, model: collection.model))
    case .delete(let id, let ids):
      guard var collection = state[id] else { return .failure(.unknownCollection("\(id)")) }
      collection.version += 1
      var deleted = 0
      for id in ids where try delete(id, &collection) { deleted += 1 }
      // Nothing removed, nothing counted.
      guard deleted > 0 else {
        return .success(.changed(version: Int(collection.version - 1), points: 0, model: collection.model))
      }
      try forget(&collection, deleted: deleted)
      try update(collection)
      state[id] = collection
      return .success(.changed(version: Int(collection.version), points: deleted, model: collection.model))
    }
  }

  private func write(_ target: RecallTarget?, of collection: Int64) throws(SQLiteError) {
    guard let targets else { throw SQLiteError(code: SQLITE_MISUSE, message: "the file is of an older format") }
    try targets.write(target, of: collection)
  }

  private func upsert(_ point: Point, _ collection: inout StoredCollection) throws(SQLiteError) {
    let key = (Statement.Value.integer(collection.id), Statement.Value.text(point.id))
    if let replaced = try selectChecksum.first(key.0, key.1, read: { $0.integer(0) }) {
      collection.digest &-= replaced
    } else {
      collection.count += 1
      if let erased = try deleteTombstone.first(key.0, key.1, read: { $0.integer(0) }) {
        collection.digest &-= erased
        collection.tombstones -= 1
      }
    }
    let checksum = RowChecksum.of(point, collection: collection.id, version: collection.version)
    try upsertPoint.run(
      key.0, key.1, .floats(point.vector), .text(point.text), .utf8(point.metadata), .integer(collection.version),
      .integer(checksum))
    collection.digest &+= checksum
  }

  /// - Returns: whether there was such a point.
  private func delete(_ id: String, _ collection: inout StoredCollection) throws(SQLiteError) -> Bool {
    let removed = try deletePoint.first(.integer(collection.id), .text(id)) { $0.integer(0) }
    guard let removed else { return false }
    collection.digest &-= removed
    collection.count -= 1
    try bury(id, version: collection.version, &collection)
    collection.tombstones += 1
    return true
  }

  private func update(_ collection: StoredCollection) throws(SQLiteError) {
    try updateCollection.run(
      .text(collection.model), .integer(collection.version), .integer(collection.count), .integer(collection.digest),
      .integer(RowChecksum.of(collection)), .integer(collection.id))
  }

  /// The number that the records were last marked with (``CommitMark``); 0 when they never were.
  ///
  /// - Throws: for a row that is not as it was written.
  func readMark() throws(SQLiteError) -> Int64 {
    guard let (number, checksum) = try selectMark.first(read: { ($0.integer(0), $0.integer(1)) }) else { return 0 }
    guard checksum == RowChecksum.ofMark(number) else {
      throw SQLiteError(code: SQLITE_CORRUPT, message: "it is damaged: its mark is not as it was written")
    }
    return number
  }

  /// The numbers of the collections that have rows in a table; the mark is of none.
  func owners(in table: String) throws(SQLiteError) -> [Int64] {
    // One step in the index for each, where DISTINCT would read all of it.
    let next = try Statement(
      database, "SELECT collection FROM \(table) WHERE collection > ? ORDER BY collection LIMIT 1")
    var owners: [Int64] = []
    while let owner = try next.first(.integer(owners.last ?? 0), read: { $0.integer(0) }) { owners.append(owner) }
    return owners
  }

  func writeMark(_ number: Int64) throws(SQLiteError) {
    try putMark.run(.integer(number), .integer(RowChecksum.ofMark(number)))
  }

  /// - Throws: for a row that is not as it was written.
  func readCollections() throws(SQLiteError) -> [StoredCollection] {
    var all: [StoredCollection] = []
    var targets = try targets?.read() ?? [:]
    func read(_ row: Statement) throws(SQLiteError) -> Bool {
      guard let name = row.text(1), let metric = Metric(rawValue: row.text(3) ?? ""),
        let dimension = Int(exactly: row.integer(2)), dimension > 0
      else { throw SQLiteError(code: SQLITE_CORRUPT, message: "it is damaged: a collection is not as it was written") }
      let collection = StoredCollection(
        id: row.integer(0), name: name, dimension: dimension, metric: metric, model: row.text(4),
        recallTarget: targets.removeValue(forKey: row.integer(0)), version: row.integer(5), count: row.integer(6),
        digest: row.integer(7))
      guard RowChecksum.of(collection) == row.integer(8), collection.version >= 0, collection.count >= 0 else {
        throw SQLiteError(code: SQLITE_CORRUPT, message: "it is damaged: collection '\(name)' is not as it was written")
      }
      all.append(collection)
      return true
    }
    try selectCollections.forEach(failure: { $0 }, read: read)
    if let owner = targets.keys.min() {
      throw SQLiteError(
        code: SQLITE_CORRUPT,
        message: "it is damaged: there is a recall target of collection \(owner), which is missing")
    }
    return all
  }
}
