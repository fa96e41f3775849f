import CSQLite

/// The statements on collections' own recall targets. Files of earlier formats have no table of them.
///
/// A target is in the checksum of its collection as well, so that a row that is lost or old is found, too.
final class RecallTargetRows {
  private let select: Statement
  private let put: Statement
  private let remove: Statement

  /// nil when there is no such table.
  init?(_ database: Database) throws(SQLiteError) {
    guard try database.value("SELECT name FROM sqlite_master WHERE name = 'recall_targets'") != nil else { return nil }
    select = try Statement(database, "SELECT collection, target, checksum FROM recall_targets ORDER BY collection")
    put = try Statement(
      database,
      """
      INSERT INTO recall_targets (collection, target, checksum) VALUES (?, ?, ?)
      ON CONFLICT (collection) DO UPDATE SET target = excluded.target, checksum = excluded.checksum
      """)
    remove = try Statement(database, "DELETE FROM recall_targets WHERE collection = ?")
  }

  /// - Parameter target: nil removes the row.
  func write(_ target: RecallTarget?, of collection: Int64) throws(SQLiteError) {
    guard let target else { return try remove.run(.integer(collection)) }
    let checksum = RowChecksum.of(target, collection: collection)
    try put.run(.integer(collection), .real(target.value), .integer(checksum))
  }

  /// The targets by collection.
  ///
  /// - Throws: for a row that is not as it was written.
  func read() throws(SQLiteError) -> [Int64: RecallTarget] {
    var all: [Int64: RecallTarget] = [:]
    func read(_ row: Statement) throws(SQLiteError) -> Bool {
      let collection = row.integer(0)
      guard let target = RecallTarget(row.real(1)),
        RowChecksum.of(target, collection: collection) == row.integer(2)
      else {
        throw SQLiteError(
          code: SQLITE_CORRUPT,
          message: "it is damaged: the recall target of collection \(collection) is not as it was written")
      }
      all[collection] = target
      return true
    }
    try select.forEach(failure: { $0 }, read: read)
    return all
  }
}
