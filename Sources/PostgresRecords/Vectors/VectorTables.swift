import VectorIndex
import VectorStore

/// What is made and dropped for a collection that stays in the database.
enum VectorTables {
  /// Makes the table of a collection, with an index of its vectors and one of its metadata.
  ///
  /// `vector` has the f32 values as they were given, from which scores are computed; `near` is what the index compares, and `slack`
  /// and `size` bound how far that can be off (``NearRow``). `fields` and `terms` are the metadata for filters.
  static func create(_ collection: DatabaseCollection, _ connection: PostgresConnection) throws(PostgresError) {
    let table = VectorTable(collection)
    var statement = PostgresStatement("CREATE TABLE ")
    statement.add(table)
    statement.add(" (id bytea PRIMARY KEY, vector bytea NOT NULL, near ")
    statement.add(collection.storage, dimension: collection.dimension)
    statement.add(
      """
       NOT NULL, slack double precision NOT NULL, size double precision NOT NULL, text bytea, metadata bytea,
      fields bytea[] NOT NULL, terms bigint[] NOT NULL)
      """)
    try connection.run(statement)
    // Values of f32 do not become smaller by compression.
    statement = PostgresStatement("ALTER TABLE ")
    statement.add(table)
    statement.add(" ALTER COLUMN vector SET STORAGE EXTERNAL")
    if keepsRowsWhole(collection) { statement.add(", SET (toast_tuple_target = 4064)") }
    try connection.run(statement)
    statement = PostgresStatement("CREATE INDEX ON ")
    statement.add(table)
    statement.add(" USING hnsw (near ")
    statement.add(collection.storage)
    statement.add(collection.metric == .euclidean ? "_l2_ops)" : "_ip_ops)")
    try connection.run(statement)
    statement = PostgresStatement("CREATE INDEX ON ")
    statement.add(table)
    statement.add(" USING gin (terms)")
    try connection.run(statement)
  }

  /// Bytes of a row of which a page of 8 KiB holds two: the `toast_tuple_target` of ``create(_:_:)``.
  private static let halfPage = 4064
  /// Bytes that a row has beside the vectors: its head, the columns of fixed size, an id, and metadata of the usual size.
  private static let besideVectors = 400

  /// Whether vectors are left in their rows, where the database would move them to a table of their own: each is then read by a walk
  /// over two indexes, which costs about a tenth of a search. Larger ones would leave much of each page empty.
  private static func keepsRowsWhole(_ collection: DatabaseCollection) -> Bool {
    let bytesPerValue = MemoryLayout<Float>.size + (collection.storage == .halfvec ? 2 : MemoryLayout<Float>.size)
    return collection.dimension <= (halfPage - besideVectors) / bytesPerValue
  }

  static func drop(_ table: VectorTable, _ connection: PostgresConnection) throws(PostgresError) {
    var statement = PostgresStatement("DROP TABLE IF EXISTS ")
    statement.add(table)
    try connection.run(statement)
  }

  /// Removes points.
  ///
  /// - Returns: how many there were.
  static func delete(
    _ choice: PointChoice, _ table: VectorTable, _ connection: PostgresConnection
  ) throws(PostgresError) -> Int {
    var statement = PostgresStatement("DELETE FROM ")
    statement.add(table)
    statement.add(" WHERE ")
    switch choice {
    case .ids(let ids):
      statement.add("id = ANY(")
      statement.add(.byteArrays(ids.map { Array($0.utf8) }))
      statement.add(")")
    case .matching(let filter): statement.add(filter)
    }
    return try connection.run(statement, seconds: PointTable.statementSeconds).changed
  }

  /// Inserts or replaces points.
  ///
  /// - Returns: how many of them are new.
  static func upsert(
    _ points: ArraySlice<Point>, _ rows: [NearRow], _ collection: DatabaseCollection, _ connection: PostgresConnection
  ) throws(PostgresError) -> Int {
    let fields = points.map { StoredFields.strings(of: $0.metadata) }
    var statement = PostgresStatement("WITH written AS (INSERT INTO ")
    statement.add(VectorTable(collection))
    statement.add(" (id, vector, near, slack, size, text, metadata, fields, terms) SELECT given.id, given.vector, (")
    statement.add(.reals(rows.flatMap(\.values)))
    let width = PostgresValue.integer(Int64(collection.dimension))
    statement.add("::real[])[((given.place - 1) * ")
    statement.add(width)
    statement.add(" + 1)::integer : (given.place * ")
    statement.add(width)
    statement.add(")::integer]::")
    statement.add(collection.storage)
    statement.add(
      ", given.slack, given.size, given.text, given.metadata, given.fields::bytea[], given.terms::bigint[] FROM unnest("
    )
    statement.add(.byteArrays(points.map { Array($0.id.utf8) }))
    statement.add(", ")
    statement.add(.byteArrays(points.map { point in point.vector.withUnsafeBytes { Array($0) } }))
    statement.add(", ")
    statement.add(.doubles(rows.map(\.slack)))
    statement.add(", ")
    statement.add(.doubles(rows.map(\.size)))
    statement.add(", ")
    statement.add(.byteArrays(points.map { $0.text.map { Array($0.utf8) } }))
    statement.add(", ")
    statement.add(.byteArrays(points.map(\.metadata)))
    statement.add(", ")
    statement.add(.texts(fields.map(Self.literal)))
    statement.add(", ")
    statement.add(.texts(fields.map { Self.literal($0.map(StoredFields.term)) }))
    statement.add(
      """
      ) WITH ORDINALITY AS given (id, vector, slack, size, text, metadata, fields, terms, place)
      ON CONFLICT (id) DO UPDATE SET vector = excluded.vector, near = excluded.near, slack = excluded.slack,
        size = excluded.size, text = excluded.text, metadata = excluded.metadata, fields = excluded.fields,
        terms = excluded.terms
      RETURNING xmax = 0 AS is_new)
      SELECT count(*) FILTER (WHERE is_new) FROM written
      """)
    let found = try connection.run(statement, seconds: PointTable.statementSeconds)
    guard let count = found.integer(0, 0) else { throw .damage("an INSERT did not count its rows") }
    return Int(count)
  }

  /// Gives points other metadata.
  static func update(
    _ metadata: [(id: String, metadata: [UInt8]?)], _ table: VectorTable, _ connection: PostgresConnection
  ) throws(PostgresError) {
    let fields = metadata.map { StoredFields.strings(of: $0.metadata) }
    var statement = PostgresStatement("UPDATE ")
    statement.add(table)
    statement.add(
      " AS held SET metadata = given.metadata, fields = given.fields::bytea[], terms = given.terms::bigint[] FROM unnest("
    )
    statement.add(.byteArrays(metadata.map { Array($0.id.utf8) }))
    statement.add(", ")
    statement.add(.byteArrays(metadata.map(\.metadata)))
    statement.add(", ")
    statement.add(.texts(fields.map(Self.literal)))
    statement.add(", ")
    statement.add(.texts(fields.map { Self.literal($0.map(StoredFields.term)) }))
    statement.add(") AS given (id, metadata, fields, terms) WHERE held.id = given.id")
    try connection.run(statement, seconds: PointTable.statementSeconds)
  }

  /// An array of bytea as PostgreSQL reads it from text, since rows of arrays with different lengths are no array: `{"\\x00ff"}`.
  private static func literal(_ strings: [[UInt8]]) -> [UInt8] {
    var out: [UInt8] = [UInt8(ascii: "{")]
    let digits = Array("0123456789abcdef".utf8)
    for (place, string) in strings.enumerated() {
      if place > 0 { out.append(UInt8(ascii: ",")) }
      out += #""\\x"#.utf8
      for byte in string { out += [digits[Int(byte >> 4)], digits[Int(byte & 15)]] }
      out.append(UInt8(ascii: "\""))
    }
    out.append(UInt8(ascii: "}"))
    return out
  }

  private static func literal(_ terms: [Int64]) -> [UInt8] {
    Array("{\(terms.map { String($0) }.joined(separator: ","))}".utf8)
  }
}
