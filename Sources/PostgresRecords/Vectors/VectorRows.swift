import VectorStore

/// Statements that read points of one collection, and their rows.
enum VectorRows {
  /// The collection's row: its state, and the bounds of its rounded rows.
  static func state(of collection: DatabaseCollection) -> PostgresStatement {
    var statement = PostgresStatement(
      "SELECT model, recall_target, version, count, slack, size FROM nearfar.collections WHERE id = ")
    statement.add(.integer(collection.id))
    statement.planned = 0
    return statement
  }

  static func state(_ rows: PostgresResult) throws(PostgresError) -> DatabaseState {
    guard let version = rows.integer(0, 2), let count = rows.integer(0, 3) else {
      throw .damage("a row of nearfar.collections is not as it was written")
    }
    return DatabaseState(
      model: rows.text(0, 0), recallTarget: rows.real(0, 1).flatMap { RecallTarget($0) }, version: Int(version),
      count: Int(count))
  }

  /// The columns of points: what is not wanted is not read.
  static func columns(_ parts: PointParts) -> StaticString {
    switch (parts.vector, parts.text, parts.metadata) {
    case (true, true, true): "id, vector, text, metadata"
    case (true, true, false): "id, vector, text, NULL::bytea"
    case (true, false, true): "id, vector, NULL::bytea, metadata"
    case (true, false, false): "id, vector, NULL::bytea, NULL::bytea"
    case (false, true, true): "id, NULL::bytea, text, metadata"
    case (false, true, false): "id, NULL::bytea, text, NULL::bytea"
    case (false, false, true): "id, NULL::bytea, NULL::bytea, metadata"
    case (false, false, false): "id, NULL::bytea, NULL::bytea, NULL::bytea"
    }
  }

  private static func select(_ parts: PointParts, _ collection: DatabaseCollection) -> PostgresStatement {
    var statement = PostgresStatement("SELECT ")
    statement.add(columns(parts))
    statement.add(" FROM ")
    statement.add(VectorTable(collection))
    return statement
  }

  static func select(_ ids: [String], of collection: DatabaseCollection, _ parts: PointParts) -> PostgresStatement {
    var statement = select(parts, collection)
    statement.add(" WHERE id = ANY(")
    statement.add(.byteArrays(ids.map { Array($0.utf8) }))
    statement.add(")")
    return statement
  }

  static func read(
    _ ids: [String], of collection: DatabaseCollection, _ parts: PointParts, _ connection: PostgresConnection
  ) throws(PostgresError) -> [Point] {
    let rows = try connection.run(select(ids, of: collection, parts), seconds: PointTable.statementSeconds)
    return try points(rows, collection, parts)
  }

  /// Points in the order of their ids' bytes, which is that of bytea.
  static func page(
    of collection: DatabaseCollection, matching filter: Filter?, after: String?, limit: Int, _ parts: PointParts
  ) -> PostgresStatement {
    var statement = select(parts, collection)
    statement.add(" WHERE ")
    statement.add(filter ?? .all)
    if let after {
      statement.add(" AND id > ")
      statement.add(.bytes(Array(after.utf8)))
    }
    statement.add(" ORDER BY id LIMIT ")
    statement.add(.integer(Int64(limit)))
    return statement
  }

  static func count(of collection: DatabaseCollection, matching filter: Filter) -> PostgresStatement {
    var statement = PostgresStatement("SELECT count(*) FROM ")
    statement.add(VectorTable(collection))
    statement.add(" WHERE ")
    statement.add(filter)
    return statement
  }

  /// The points of rows whose first columns are those of ``columns(_:)``.
  static func points(
    _ rows: PostgresResult, _ collection: DatabaseCollection, _ parts: PointParts
  ) throws(PostgresError) -> [Point] {
    var points: [Point] = []
    points.reserveCapacity(rows.rows)
    for row in 0..<rows.rows { points.append(try point(rows, row, collection, parts)) }
    return points
  }

  static func point(
    _ rows: PostgresResult, _ row: Int, _ collection: DatabaseCollection, _ parts: PointParts
  ) throws(PostgresError) -> Point {
    guard let id = rows.text(row, 0), !id.isEmpty else {
      throw .damage("a point of collection '\(collection.name)' has no id")
    }
    let vector = rows.floats(row, 1) ?? []
    guard !parts.vector || vector.count == collection.dimension else {
      throw .damage("point '\(id)' of collection '\(collection.name)' is not as it was written")
    }
    return Point(id: id, vector: vector, text: rows.text(row, 2), metadata: rows.bytes(row, 3))
  }
}
