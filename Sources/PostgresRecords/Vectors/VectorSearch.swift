import Platform
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
      let query = VectorQuery(
        Array(queries.row(row)), search, excluding: excluded, collection, points: state.count, parts)
      // A collection may have changed between two queries; the version is the last one's.
      let (now, found) = try ask(about: collection) {
        connection throws(PostgresError) -> (DatabaseState?, [Neighbor]) in
        try query.run(connection, try self.vectorExtension(connection), ef: ef)
      }
      newest = try present(now, collection)
      neighbors.append(found)
    }
    return (newest, try result(neighbors, search, ef: ef, newest, collection))
  }

  private func result(
    _ neighbors: [[Neighbor]], _ search: NeighborSearch, ef: Int?, _ state: DatabaseState,
    _ collection: DatabaseCollection
  ) throws(StoreError) -> NeighborResult {
    // How many match is only asked for where fewer are found than were wanted.
    let isShort = neighbors.contains { $0.count < search.k }
    let matching =
      isShort && search.filter != nil ? try count(of: collection, matching: search.filter).count : state.count
    return NeighborResult(neighbors: neighbors, ef: ef, expectedRecall: ef == nil ? 1 : nil, matching: matching)
  }

  func begin(
    _ query: Matrix, _ search: NeighborSearch, in collection: DatabaseCollection, _ parts: PointParts,
    _ completion: @escaping @Sendable (Result<(state: DatabaseState, found: NeighborResult), StoreError>) -> Void
  ) -> Bool {
    guard query.rows == 1, search.excluding.isEmpty, let last = lastState(of: collection), let found = foundExtension,
      let ef = walkPool(of: search, last),
      (try? PointCheck.check(queries: query, dimension: collection.dimension, metric: collection.metric)) != nil
    else { return false }
    let one = VectorQuery(query.values, search, excluding: nil, collection, points: last.count, parts)
    let began = SystemClock.monotonic
    let sent = { (connection: PostgresConnection) throws(PostgresError) in
      try one.begin(connection, found, ef: ef)
    }
    return pool.begin(sent, seconds: PointTable.statementSeconds) { answer in
      do throws(PostgresError) {
        if let (state, neighbors) = try one.walked(answer.get()) {
          let result = NeighborResult(neighbors: [neighbors], ef: ef, expectedRecall: nil, matching: state.count)
          return completion(.success((state, result)))
        }
      } catch {
        // A failure that comes soon may be one that does not happen again.
        guard Double(SystemClock.monotonic &- began) / 1e9 <= Self.patience else {
          return completion(.failure(error.asStoreError))
        }
      }
      // From the start, where it may wait; that deals with whatever was wrong.
      let isTaken = self.pool.submit {
        completion(Result { () throws(StoreError) in try self.nearest(to: query, search, in: collection, parts) })
      }
      if !isTaken { completion(.failure(.unavailable("too many requests wait for the database"))) }
    }
  }

  /// - Returns: the collection's state, and the pool of the walks; nil for exact searches.
  private func plan(
    _ search: NeighborSearch, _ collection: DatabaseCollection
  ) throws(StoreError) -> (DatabaseState, Int?) {
    // That of the last look will do: how many points there are and the recall target change slowly.
    let state: DatabaseState
    if let last = lastState(of: collection) { state = last } else { state = try self.state(of: collection) }
    return (state, walkPool(of: search, state))
  }

  private func walkPool(of search: NeighborSearch, _ state: DatabaseState) -> Int? {
    guard search.mode != .exact, state.count > Self.fewPoints else { return nil }
    if case .graph(let ef?) = search.mode { return min(ef, Self.longestPool) }
    let target = search.recallTarget ?? state.recallTarget
    guard target < 1, search.k <= Self.manyNeighbors else { return nil }
    let pool = Self.pools.first { target <= $0.target }?.ef ?? Self.longestPool
    return min(Self.longestPool, max(pool, pool * search.k / 10))
  }

  /// Pools for ten neighbours. No recall is measured here, so they are chosen with room to spare.
  private static let pools: [(target: Double, ef: Int)] = [
    (0.9, 40), (0.95, 80), (0.97, 120), (0.98, 160), (0.99, 300), (0.995, 500),
  ]
}
