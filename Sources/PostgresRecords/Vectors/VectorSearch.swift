import SimilarityCore
import VectorIndex
import VectorStore

/// Searches of a collection that stays in the database.
extension PostgresVectors {
  /// Collections of at most so many points are searched exactly unless a pool is asked for.
  private static let fewPoints = 1000
  /// From so many neighbours on a walk costs more than it saves.
  private static let manyNeighbors = 400
  /// The largest pool that the extension takes.
  static let longestPool = 1000

  func nearest(
    to queries: Matrix, _ search: NeighborSearch, in collection: DatabaseCollection, _ parts: PointParts
  ) throws(StoreError) -> (state: DatabaseState, found: NeighborResult) {
    try PointCheck.check(queries: queries, dimension: collection.dimension, metric: collection.metric)
    let (state, ef) = try plan(search, collection)
    var newest = state
    var neighbors: [[Neighbor]] = []
    for row in 0..<queries.rows {
      let excluded = row < search.excluding.count ? search.excluding[row] : nil
      let query = VectorQuery(Array(queries.row(row)), search, excluding: excluded, collection, parts)
      // A collection may have changed between two queries; the version is the last one's.
      let (now, found) = try ask(about: collection) {
        connection throws(PostgresError) -> (DatabaseState?, [Neighbor]) in
        try query.run(connection, try self.vectorExtension(connection), ef: ef)
      }
      newest = try present(now, collection)
      neighbors.append(found)
    }
    // How many match is only asked for where fewer are found than were wanted.
    let isShort = neighbors.contains { $0.count < search.k }
    let matching =
      isShort && search.filter != nil ? try count(of: collection, matching: search.filter).count : newest.count
    return (
      newest, NeighborResult(neighbors: neighbors, ef: ef, expectedRecall: ef == nil ? 1 : nil, matching: matching)
    )
  }

  /// - Returns: the collection's state, and the pool of the walks; nil for exact searches.
  private func plan(
    _ search: NeighborSearch, _ collection: DatabaseCollection
  ) throws(StoreError) -> (DatabaseState, Int?) {
    // That of the last look will do: how many points there are and the recall target change slowly.
    let state: DatabaseState
    if let last = lastState(of: collection) { state = last } else { state = try self.state(of: collection) }
    guard search.mode != .exact, state.count > Self.fewPoints else { return (state, nil) }
    if case .graph(let ef?) = search.mode { return (state, min(ef, Self.longestPool)) }
    let target = search.recallTarget ?? state.recallTarget
    guard target < 1, search.k <= Self.manyNeighbors else { return (state, nil) }
    let pool = Self.pools.first { target <= $0.target }?.ef ?? Self.longestPool
    return (state, min(Self.longestPool, max(pool, pool * search.k / 10)))
  }

  /// Pools for ten neighbours. No recall is measured here, so they are chosen with room to spare.
  private static let pools: [(target: Double, ef: Int)] = [
    (0.9, 40), (0.95, 80), (0.97, 120), (0.98, 160), (0.99, 300), (0.995, 500),
  ]
}

/// One query of a collection.
private struct VectorQuery {
  let query: [Float]
  let k: Int
  let filter: Filter?
  let excluded: [UInt8]?
  let collection: DatabaseCollection
  let parts: PointParts
  let near: NearRow
  let bound: NearBound
  let scorer: RowScorer

  /// Rows that are read at once where the first scan has not settled which are the nearest.
  private static let page = 2048

  init(
    _ query: [Float], _ search: NeighborSearch, excluding: String?, _ collection: DatabaseCollection,
    _ parts: PointParts
  ) {
    self.query = query
    k = search.k
    filter = search.filter
    excluded = excluding.map { Array($0.utf8) }
    self.collection = collection
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

  func run(
    _ connection: PostgresConnection, _ search: VectorExtension, ef: Int?
  ) throws(PostgresError) -> (DatabaseState?, [Neighbor]) {
    var state: DatabaseState?
    if let ef, filter == nil || search.iterates {
      // Some more than are wanted, since rounding may have changed the order.
      let wanted = k + k / 4 + 4
      let (rows, found) = try candidates(connection, search, limit: wanted, ef: ef)
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
    statement.add(" LIMIT ")
    statement.add(.integer(Int64(limit)))
    // A filter's text varies; beside a scan of all rows the rest costs nothing.
    statement.isRepeated = ef != nil && filter == nil
    let pool = ef.map { min(PostgresVectors.longestPool, iterates(search) ? $0 : max($0, limit)) }
    let results = try connection.pipeline(
      [VectorRows.state(of: collection), statement], settings(search, ef: pool), seconds: PointTable.statementSeconds)
    guard results.count == 2 else { throw .damage("two statements did not give two results") }
    return (results[0], results[1])
  }

  /// Whether a walk goes on where the rows that it has found do not match.
  private func iterates(_ search: VectorExtension) -> Bool { search.iterates && filter != nil }

  /// What the database has to be set to for a search. Few settings: each costs time, too.
  private func settings(_ search: VectorExtension, ef: Int?) -> [(PostgresSession.Setting, String?)] {
    var settings: [(PostgresSession.Setting, String?)] = []
    if let path = search.path { settings.append((.searchPath, path)) }
    if let ef {
      settings.append((.pool, String(ef)))
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
