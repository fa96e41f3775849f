import SimilarityCore

/// One state of an index, which later writes do not change.
public final class IndexSnapshot: Sendable {
  public let dimension: Int
  public let metric: Metric
  /// The slots of the vectors in this state.
  public let live: SlotSet
  /// The graph, or nil when there is none.
  public let graph: GraphState?
  package let version: Int
  let records: CodeRecords?
  /// The lists that exact scans read; nil when there are too few rows for them.
  let lists: InvertedLists?
  /// The slots whose rows have not changed since the lists were made.
  let covered: SlotSet
  let rows: RowBlocks
  private let scratch: WalkScratchPool
  private let registry: VersionRegistry
  private let board: CalibrationBoard
  /// The recall@10 target of searches that do not set their own.
  public let defaultTarget: Double
  let kernels: Kernels

  init(
    dimension: Int, metric: Metric, live: SlotSet, graph: GraphState?, version: Int, records: CodeRecords?,
    lists: InvertedLists?, covered: SlotSet, rows: RowBlocks, scratch: WalkScratchPool, registry: VersionRegistry,
    board: CalibrationBoard,
    defaultTarget: Double, kernels: Kernels
  ) {
    self.dimension = dimension
    self.metric = metric
    self.live = live
    self.graph = graph
    self.version = version
    self.records = records
    self.lists = lists
    self.covered = covered
    self.rows = rows
    self.scratch = scratch
    self.registry = registry
    self.board = board
    self.defaultTarget = defaultTarget
    self.kernels = kernels
    registry.began(version)
  }

  deinit { registry.ended(version) }

  /// The number of vectors.
  public var count: Int { live.count }

  /// The vector in `slot` as it was stored; empty when there is none.
  public func vector(at slot: Int) -> [Float] {
    live.contains(slot) ? Array(rows.row(slot)) : []
  }

  /// Whether the vector of `slot` has the same bits as `values`.
  public func hasVector(_ values: [Float], at slot: Int) -> Bool {
    guard live.contains(slot), values.count == dimension else { return false }
    return zip(rows.row(slot), values).allSatisfy { $0.bitPattern == $1.bitPattern }
  }

  /// Finds the `options.k` vectors nearest to each row of `queries`. The answer to a query does not depend on the other queries
  /// of the batch, down to the last bit of the scores.
  ///
  /// - Parameter tiePrecedes: whether the first of two slots with equal scores comes before the second. An exact search
  ///   decides so among all vectors, a search over the graph among those that it has met.
  /// - Throws: ``IndexError`` naming the row of a query that cannot be compared, or saying that memory or the matrix library
  ///   failed.
  public func nearest(
    to queries: Matrix, _ options: SearchOptions, tiePrecedes: @escaping @Sendable (Int, Int) -> Bool
  ) throws(IndexError) -> SearchResult {
    guard queries.columns == dimension else {
      throw .dimension(row: 0, expected: dimension, found: queries.columns)
    }
    if metric == .cosine {
      for row in 0..<queries.rows where queries.row(row).allSatisfy({ $0 == 0 }) { throw .zeroVector(row: row) }
    }
    var allowed = live
    if let filter = options.allowed { allowed.formIntersection(filter) }
    var options = options
    options.k = min(options.k, allowed.count)
    guard records != nil, !allowed.isEmpty, options.k > 0 else {
      return SearchResult(
        neighbors: queries.values.isEmpty ? [] : .init(repeating: [], count: queries.rows), plan: .exact)
    }
    if options.mode == .automatic, graph != nil { measure(queries, options) }
    let plan = plan(options, allowed: allowed.count)
    do throws(ProductFailure) {
      let search = search(queries, options, plan, allowed: allowed, tiePrecedes: tiePrecedes)
      return SearchResult(neighbors: try search?.run().map(\.neighbors) ?? [], plan: plan)
    } catch {
      throw IndexError(error)
    }
  }

  private func plan(_ options: SearchOptions, allowed: Int) -> SearchPlan {
    SearchPlan(
      options, live: live.count, allowed: allowed, graph: graph, calibration: board.current,
      defaultTarget: defaultTarget, costs: SearchCosts(dimension: dimension))
  }

  /// - Returns: nil when there are no records to search in.
  func search(
    _ queries: Matrix, _ options: SearchOptions, _ plan: SearchPlan, allowed: SlotSet? = nil,
    tiePrecedes: @escaping @Sendable (Int, Int) -> Bool = (<)
  ) -> BatchSearch? {
    records.map { records in
      BatchSearch(
        queries: queries, options: options, plan: plan, allowed: allowed ?? live, records: records, snapshot: self,
        scratch: scratch, tiePrecedes: tiePrecedes)
    }
  }

  /// Measures recall on some of a client's queries, so that pool sizes suit them. The queries are not stored.
  private func measure(_ queries: Matrix, _ options: SearchOptions) {
    let claimed = board.claim(of: queries.rows)
    guard claimed > 0 else { return }
    var values: [Float] = []
    for index in 0..<claimed { values += queries.row(index * queries.rows / claimed) }
    let sample = Matrix(rows: claimed, columns: dimension, values: values)
    // A failure here is not reported: the calibration stays as it was, and the search itself reports its own failure.
    let curve = sample.flatMap { try? RecallMeasure(snapshot: self, loop: options.loop).curve(of: $0) }
    board.add(asked: curve, claimed: claimed)
  }

  /// What is known of the recall of walks.
  public var calibration: Calibration { board.current }

  /// The pool size of a search for ten neighbours without options, and its expected recall@10; nil when such a search is exact.
  public var defaultPool: (ef: Int, expectedRecall: Double)? {
    let plan = plan(SearchOptions(k: 10), allowed: live.count)
    return plan.ef.map { ($0, plan.expectedRecall ?? 0) }
  }
}

/// What a snapshot knows of the graph beside its lists.
public struct GraphState: Sendable {
  /// Where searches start.
  let entries: EntryPoints
  /// Slots in the graph, including removed ones that walks still pass.
  public let size: Int
}
