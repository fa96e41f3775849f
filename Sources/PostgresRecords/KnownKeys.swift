import VectorStore

/// What changes with a client's key have done before, on this replica or on another.
struct KnownKeys {
  private struct Entry {
    let fingerprint: [UInt8]
    let version: Int
    let points: Int
    let answer: [UInt8]?
  }

  private var entries: [[UInt8]: Entry] = [:]

  /// Reads those of the given keys that are known.
  static func read(_ keys: [ChangeKey], _ connection: PostgresConnection) throws(PostgresError) -> KnownKeys {
    var known = KnownKeys()
    guard !keys.isEmpty else { return known }
    let rows = try connection.run(
      "SELECT key, fingerprint, version, points, answer FROM nearfar.keys WHERE key = ANY($1)",
      [.byteArrays(keys.map(\.key))])
    for row in 0..<rows.rows {
      guard let key = rows.bytes(row, 0), let fingerprint = rows.bytes(row, 1), let version = rows.count(row, 2),
        let points = rows.count(row, 3)
      else { throw .damage("a row of nearfar.keys is not as it was written") }
      known.entries[key] = Entry(
        fingerprint: fingerprint, version: version, points: points, answer: rows.bytes(row, 4))
    }
    return known
  }

  /// The outcome of a change whose key is known; nil when it is not.
  func outcome(of key: ChangeKey) -> Result<Committed, StoreError>? {
    guard let entry = entries[key.key] else { return nil }
    guard entry.fingerprint == key.fingerprint else { return .failure(.keyReused) }
    return .success(.repeated(version: entry.version, points: entry.points, answer: entry.answer))
  }

  /// Stores what a change has done, in its transaction.
  mutating func add(
    _ key: ChangeKey, version: Int, points: Int, answer: [UInt8]? = nil, _ connection: PostgresConnection
  ) throws(PostgresError) {
    entries[key.key] = Entry(fingerprint: key.fingerprint, version: version, points: points, answer: answer)
    try connection.run(
      "INSERT INTO nearfar.keys (key, fingerprint, version, points, answer) VALUES ($1, $2, $3, $4, $5)",
      [
        .bytes(key.key), .bytes(key.fingerprint), .integer(Int64(version)), .integer(Int64(points)), .bytes(answer),
      ])
  }
}
