import VectorStore

/// The statements about points and changes.
enum PointTable {
  /// Inserts or replaces points: those that are there are deleted first, because a table whose partitions are on other servers has no
  /// index over all of them, which ON CONFLICT would need.
  ///
  /// - Returns: how many of them are new.
  static func upsert(
    _ points: [Point], collection: Int64, version: Int, _ connection: PostgresConnection
  ) throws(PostgresError) -> Int {
    let ids = points.map { Array($0.id.utf8) }
    let replaced = try connection.run(
      "DELETE FROM nearfar.points WHERE collection = $1 AND id = ANY($2)", [.integer(collection), .byteArrays(ids)],
      seconds: statementSeconds
    ).changed
    try connection.run(
      """
      INSERT INTO nearfar.points (collection, id, vector, text, metadata, version, checksum)
      SELECT $1, given.id, given.vector, given.text, given.metadata, $7, given.checksum
      FROM unnest($2::bytea[], $3::bytea[], $4::bytea[], $5::bytea[], $6::bigint[])
        AS given (id, vector, text, metadata, checksum)
      """,
      [
        .integer(collection), .byteArrays(ids),
        .byteArrays(points.map { point in point.vector.withUnsafeBytes { Array($0) } }),
        .byteArrays(points.map { $0.text.map { Array($0.utf8) } }), .byteArrays(points.map(\.metadata)),
        .integers(points.map { checksum($0, collection: collection, version: version) }), .integer(Int64(version)),
      ], seconds: statementSeconds)
    return points.count - replaced
  }

  /// Deletes points.
  ///
  /// - Returns: the ids of those that were there.
  static func delete(
    _ ids: [String], collection: Int64, _ connection: PostgresConnection
  ) throws(PostgresError) -> [[UInt8]] {
    let rows = try connection.run(
      "DELETE FROM nearfar.points WHERE collection = $1 AND id = ANY($2) RETURNING id",
      [.integer(collection), .byteArrays(ids.map { Array($0.utf8) })], seconds: statementSeconds)
    return (0..<rows.rows).compactMap { rows.bytes($0, 0) }.sorted { $0.lexicographicallyPrecedes($1) }
  }

  static func add(
    change payload: [UInt8], key: [UInt8], _ row: PostgresCollection, _ connection: PostgresConnection
  ) throws(PostgresError) {
    try connection.run(
      "INSERT INTO nearfar.changes (collection, version, key, payload, digest) VALUES ($1, $2, $3, $4, $5)",
      [
        .integer(row.stored.id), .integer(Int64(row.stored.version)), .bytes(key), .bytes(payload),
        .integer(row.stored.digest),
      ], seconds: statementSeconds)
  }

  /// The longest that a statement on many points may take.
  static let statementSeconds = 60.0

  static func checksum(_ point: Point, collection: Int64, version: Int) -> Int64 {
    var sum = Checksum(12)
    sum.add(collection)
    sum.add(Int64(version))
    sum.add(point)
    return sum.value
  }
}
