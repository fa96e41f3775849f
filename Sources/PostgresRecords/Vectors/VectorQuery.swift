import SimilarityCore
import VectorIndex
import VectorStore

/// One query of a collection.
struct VectorQuery {
  let query: [Float]
  let k: Int
  let filter: Filter?
  let excluded: [UInt8]?
  let collection: DatabaseCollection
  /// About as many as the collection has.
  let points: Int
  let parts: PointParts
  let near: NearRow
  let bound: NearBound
  let scorer: RowScorer

  /// Rows that are read at once where the first scan has not settled which are the nearest.
  private static let page = 2048

  init(
    _ query: [Float], _ search: NeighborSearch, excluding: String?, _ collection: DatabaseCollection, points: Int,
    _ parts: PointParts
  ) {
    self.query = query
    k = search.k
    filter = search.filter
    excluded = excluding.map { Array($0.utf8) }
    self.collection = collection
    self.points = points
    var parts = parts
    parts.vector = true
    self.parts = parts
    near = NearRow(query, collection.metric, collection.storage, isQuery: true)
    bound = NearBound(query, near, collection.metric)
    scorer = RowScorer(query, metric: collection.metric)
  }

  private struct Candidate {
    let score: Double
    let id: [UInt8]
    let point: Point
  }

  /// Sends the walk of ``run(_:_:ef:)`` ahead.
  ///
  /// - Returns: whether there is one, and it could be sent.
  func begin(_ connection: PostgresConnection, _ search: VectorExtension, ef: Int) throws(PostgresError) -> Bool {
    guard walks(search) else { return false }
    return try connection.begin(statements(limit: walked, ef: ef), settings(search, limit: walked, ef: ef))
  }

  /// Whether the index is of use.
  private func walks(_ search: VectorExtension) -> Bool { filter == nil || search.iterates }

  /// Rows that a walk gives: some more than are wanted, since rounding may have changed the order, above all among vectors that are nearly
  /// equal.
  private var walked: Int { k + k / 4 + 4 }

  /// What the walk has found that ``begin(_:_:ef:)`` has sent ahead.
  ///
  /// - Returns: nil where the collection is gone, or a scan has to follow.
  func walked(_ results: [PostgresResult]) throws(PostgresError) -> (DatabaseState, [Neighbor])? {
    guard results.count == 2 else { throw .damage("two statements did not give two results") }
    guard results[0].rows == 1 else { return nil }
    let (state, best) = (try VectorRows.state(results[0]), try best(of: results[1]))
    return best.count == k ? (state, neighbors(best)) : nil
  }

  func run(
    _ connection: PostgresConnection, _ search: VectorExtension, ef: Int?
  ) throws(PostgresError) -> (DatabaseState?, [Neighbor]) {
    var state: DatabaseState?
    if let ef, walks(search) {
      let (rows, found) = try candidates(connection, search, limit: walked, ef: ef)
      guard rows.rows == 1 else { return (nil, []) }
      let now = try VectorRows.state(rows)
      let best = try best(of: found)
      // A walk that ends early, for example because few of the points that it meets match, is followed by a scan.
      if best.count >= min(k, now.count - (excluded == nil ? 0 : 1)) { return (now, neighbors(best)) }
      state = now
    }
    let wanted = 2 * k + 64
    let (rows, found) = try candidates(connection, search, limit: wanted, ef: nil)
    guard rows.rows == 1 else { return (nil, []) }
    state = try VectorRows.state(rows)
    var best = try best(of: found)
    // All rows have been seen, or no other can be among the best.
    let last = found.rows > 0 ? found.real(found.rows - 1, 4) : nil
    guard found.rows == wanted, !isUnordered, let last, let worst = best.last else { return (state, neighbors(best)) }
    if best.count == k,
      bound.isBeyond(
        bound.limit(worst.score), last, slack: rows.real(0, 4) ?? .infinity, size: rows.real(0, 5) ?? .infinity)
    {
      return (state, neighbors(best))
    }
    try complete(&best, connection, search)
    return (state, neighbors(best))
  }

  /// Whether all rows have the same score, so that the ids alone decide.
  private var isUnordered: Bool { collection.metric == .dot && query.allSatisfy { $0 == 0 } }

  /// The rows that the database takes for the nearest, behind the collection's state.
  ///
  /// - Parameter ef: the pool of a walk over the index; nil for a scan of all rows.
  private func candidates(
    _ connection: PostgresConnection, _ search: VectorExtension, limit: Int, ef: Int?
  ) throws(PostgresError) -> (state: PostgresResult, found: PostgresResult) {
    let results = try connection.pipeline(
      statements(limit: limit, ef: ef), settings(search, limit: limit, ef: ef), seconds: PointTable.statementSeconds)
    guard results.count == 2 else { throw .damage("two statements did not give two results") }
    return (results[0], results[1])
  }

  /// What reads the collection's state, and what gives candidates.
  private func statements(limit: Int, ef: Int?) -> [PostgresStatement] {
    var statement = select(withDistance: ef == nil)
    statement.add(" WHERE ")
    statement.add(filter ?? .all)
    statement.add(" ORDER BY ")
    if isUnordered {
      statement.add("id")
    } else {
      addDistance(to: &statement)
      // The index is not of this expression, so all rows are compared.
      if ef == nil { statement.add(" + 0.0::double precision") }
    }
    statement.addLimit(limit)
    // A filter's text varies; beside a scan of all rows the rest costs nothing. The plan for a small table would be a bad one for a table
    // that has grown.
    if ef != nil, filter == nil { statement.planned = Int.bitWidth - points.leadingZeroBitCount }
    return [VectorRows.state(of: collection), statement]
  }

  /// Whether a walk goes on where the rows that it has found do not match.
  private func iterates(_ search: VectorExtension) -> Bool { search.iterates && filter != nil }

  /// What the database has to be set to for a search. Few settings: each costs time, too.
  private func settings(
    _ search: VectorExtension, limit: Int = 0, ef: Int?
  ) -> [(PostgresSession.Setting, String?)] {
    var settings: [(PostgresSession.Setting, String?)] = []
    if let path = search.path { settings.append((.searchPath, path)) }
    if let ef {
      // The pool has to hold what a walk gives where it does not go on.
      let pool = min(PostgresVectors.longestPool, iterates(search) ? ef : max(ef, limit))
      settings.append((.pool, String(pool)))
      settings.append((.iterativeScan, iterates(search) ? "relaxed_order" : nil))
    } else {
      // Compiling takes longer than what it would save in a scan.
      settings.append((.compiling, "off"))
    }
    return settings
  }

  /// The columns of a point, and how far the database finds it from the query, which only scans need to know.
  private func select(withDistance: Bool = true) -> PostgresStatement {
    var statement = PostgresStatement("SELECT ")
    statement.add(VectorRows.columns(parts))
    if withDistance {
      statement.add(", ")
      addDistance(to: &statement)
    }
    statement.add(" FROM ")
    statement.add(VectorTable(collection))
    return statement
  }

  private func addDistance(to statement: inout PostgresStatement) {
    statement.add(collection.metric == .euclidean ? "(near <-> " : "(near <#> ")
    statement.add(.reals(near.values))
    statement.add("::real[]::")
    statement.add(collection.storage)
    statement.add(")")
  }

  /// Adds every other row that may be among the k best, in the order of the ids, so that rows with equal scores need no memory.
  private func complete(
    _ best: inout [Candidate], _ connection: PostgresConnection, _ search: VectorExtension
  ) throws(PostgresError) {
    var after: [UInt8]?
    while true {
      var statement = select()
      statement.add(" WHERE ")
      statement.add(filter ?? .all)
      if let after {
        statement.add(" AND id > ")
        statement.add(.bytes(after))
      }
      if best.count == k, let worst = best.last {
        statement.add(" AND ")
        addDistance(to: &statement)
        statement.add(" * ")
        statement.add(.optionalReal(bound.scale))
        statement.add(" - slack * ")
        statement.add(.optionalReal(bound.slackFactor))
        statement.add(" - size * ")
        statement.add(.optionalReal(bound.sizeFactor))
        statement.add(" <= ")
        statement.add(.optionalReal(bound.limit(worst.score)))
      }
      statement.add(" ORDER BY id LIMIT ")
      statement.add(.integer(Int64(Self.page)))
      let results = try connection.pipeline(
        [VectorRows.state(of: collection), statement], settings(search, ef: nil), seconds: PointTable.statementSeconds)
      guard results.count == 2 else { throw .damage("two statements did not give two results") }
      best = try self.best(of: results[1], with: best)
      guard results[1].rows == Self.page, let last = results[1].bytes(Self.page - 1, 0) else { return }
      after = last
    }
  }

  /// The k best of some rows and of those that were found before, best first, ties by the bytes of the ids.
  private func best(of rows: PostgresResult, with before: [Candidate] = []) throws(PostgresError) -> [Candidate] {
    var all = before
    let known = Set(before.map(\.id))
    for row in 0..<rows.rows {
      guard let id = rows.bytes(row, 0), id != excluded, !known.contains(id) else { continue }
      let point = try VectorRows.point(rows, row, collection, parts)
      all.append(Candidate(score: scorer.score(point.vector), id: id, point: point))
    }
    all.sort { $0.score != $1.score ? $0.score > $1.score : $0.id.lexicographicallyPrecedes($1.id) }
    all.removeLast(max(0, all.count - k))
    return all
  }

  private func neighbors(_ best: [Candidate]) -> [Neighbor] {
    best.map { Neighbor(score: $0.score, $0.point) }
  }
}
