import VectorIndex
import VectorStore

/// A collection as its row has it.
struct PostgresCollection {
  var stored: StoredCollection
  /// Changes up to this version have been forgotten.
  var horizon: Int
  /// How its vectors are kept where the collection stays in the database; nil where replicas have it in memory.
  let storage: DatabaseStorage?
  /// Bounds over all rows that a collection in the database has ever had (``NearRow``).
  var slack: Double
  var size: Double

  /// - Throws: for a row that is not as it was written.
  init(_ rows: PostgresResult, _ row: Int) throws(PostgresError) {
    guard let id = rows.integer(row, 0), let name = rows.text(row, 1),
      let dimension = rows.integer(row, 2), dimension > 0,
      let metric = Metric(rawValue: rows.text(row, 3) ?? ""),
      let version = rows.count(row, 6), let count = rows.count(row, 7), let digest = rows.integer(row, 8),
      let horizon = rows.count(row, 9)
    else { throw .damage("a row of nearfar.collections is not as it was written") }
    let target = rows.real(row, 5)
    let recallTarget = target.flatMap { RecallTarget($0) }
    guard (target == nil) == (recallTarget == nil) else {
      throw .damage("the recall target of collection '\(name)' is not as it was written")
    }
    stored = StoredCollection(
      id: id, name: name, dimension: Int(dimension), metric: metric, model: rows.text(row, 4),
      recallTarget: recallTarget, version: version, count: count, digest: digest)
    self.horizon = horizon
    let kept = rows.text(row, 10)
    storage = kept.flatMap { DatabaseStorage(rawValue: $0) }
    guard (kept == nil) == (storage == nil), let slack = rows.real(row, 11), let size = rows.real(row, 12) else {
      throw .damage("the storage of collection '\(name)' is not as it was written")
    }
    (self.slack, self.size) = (slack, size)
  }

  /// The digest after a further change.
  static func digest(_ before: Int64, version: Int, _ payload: [UInt8]) -> Int64 {
    var sum = Checksum(11)
    sum.add(before)
    sum.add(Int64(version))
    sum.add(payload)
    return sum.value
  }
}

/// The statements about collections.
enum CollectionTable {
  static func all(_ connection: PostgresConnection) throws(PostgresError) -> [PostgresCollection] {
    try read(
      connection.run(
        """
        SELECT id, name, dimension, metric, model, recall_target, version, count, digest, horizon, storage, slack, size
        FROM nearfar.collections ORDER BY id
        """))
  }

  static func one(_ id: Int64, _ connection: PostgresConnection) throws(PostgresError) -> PostgresCollection? {
    try read(
      connection.run(
        """
        SELECT id, name, dimension, metric, model, recall_target, version, count, digest, horizon, storage, slack, size
        FROM nearfar.collections WHERE id = $1
        """, [.integer(id)])
    ).first
  }

  /// Locks the rows of these collections until the transaction ends, always in one order, so that two writers never wait for
  /// each other.
  static func lock(
    _ ids: [Int64], _ connection: PostgresConnection
  ) throws(PostgresError) -> [Int64: PostgresCollection] {
    guard !ids.isEmpty else { return [:] }
    let rows = try read(
      connection.run(
        """
        SELECT id, name, dimension, metric, model, recall_target, version, count, digest, horizon, storage, slack, size
        FROM nearfar.collections WHERE id = ANY($1) ORDER BY id FOR UPDATE
        """, [.integers(ids)]))
    return Dictionary(rows.map { ($0.stored.id, $0) }, uniquingKeysWith: { first, _ in first })
  }

  /// - Returns: nil when there is a collection of that name.
  static func create(
    _ name: String, dimension: Int, metric: Metric, recallTarget: RecallTarget?, storage: DatabaseStorage? = nil,
    _ connection: PostgresConnection
  ) throws(PostgresError) -> PostgresCollection? {
    let rows = try connection.run(
      """
      INSERT INTO nearfar.collections (name, dimension, metric, recall_target, storage) VALUES ($1, $2, $3, $4, $5)
      ON CONFLICT (name) DO NOTHING
      RETURNING id, name, dimension, metric, model, recall_target, version, count, digest, horizon, storage, slack, size
      """,
      [
        .text(name), .integer(Int64(dimension)), .text(metric.rawValue), .optionalReal(recallTarget?.value),
        .text(storage?.rawValue),
      ])
    return try read(rows).first
  }

  /// Writes everything of a collection that can change.
  static func write(_ row: PostgresCollection, _ connection: PostgresConnection) throws(PostgresError) {
    try connection.run(
      """
      UPDATE nearfar.collections SET model = $2, recall_target = $3, version = $4, count = $5, digest = $6,
        slack = $7, size = $8 WHERE id = $1
      """,
      [
        .integer(row.stored.id), .text(row.stored.model), .optionalReal(row.stored.recallTarget?.value),
        .integer(Int64(row.stored.version)), .integer(Int64(row.stored.count)), .integer(row.stored.digest),
        .optionalReal(row.slack), .optionalReal(row.size),
      ])
  }

  /// Its points and changes are removed later (``Sweeping``).
  static func drop(_ id: Int64, _ connection: PostgresConnection) throws(PostgresError) {
    try connection.run("INSERT INTO nearfar.dropped (id, kind) VALUES ($1, 'collection')", [.integer(id)])
    try connection.run("DELETE FROM nearfar.collections WHERE id = $1", [.integer(id)])
  }

  private static func read(_ rows: PostgresResult) throws(PostgresError) -> [PostgresCollection] {
    var all: [PostgresCollection] = []
    for row in 0..<rows.rows { all.append(try PostgresCollection(rows, row)) }
    return all
  }
}
