import SimilarityCore

/// One state of an index, which later writes do not touch.
public final class IndexSnapshot: Sendable {
  public let dimension: Int
  public let metric: Metric
  /// The vectors that this state has.
  public let live: SlotSet
  /// What the graph is, or nil while there is none.
  public let graph: GraphState?
  let version: Int
  let records: CodeRecords?
  /// For exact scans; nil where there are too few rows for it.
  let lists: InvertedLists?
  /// The slots that are as the lists have them.
  let covered: SlotSet
  let rows: RowBlocks
  private let scratch: WalkScratchPool
  private let registry: VersionRegistry
  private let board: CalibrationBoard
  /// Recall@10 that searches have which ask for none.
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

  /// Vectors held.
  public var count: Int { live.count }

  /// The vector in `slot` as it was stored; empty when there is none.
  public func vector(at slot: Int) -> [Float] {
    live.contains(slot) ? Array(rows.row(slot)) : []
  }

  /// The `options.k` nearest vectors of each row of `queries`. A query's answer has the same bytes alone and in any batch.
  ///
  /// - Parameter tiePrecedes: decides between two slots of equal score.
  /// - Throws: ``IndexError`` naming the row of a query that cannot be compared.
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

  /// - Returns: nil when there is nothing to search in.
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

  /// Measures some of the queries that a client asks, so that pools fit them; they are not kept.
  private func measure(_ queries: Matrix, _ options: SearchOptions) {
    let claimed = board.claim(of: queries.rows)
    guard claimed > 0 else { return }
    var values: [Float] = []
    for index in 0..<claimed { values += queries.row(index * queries.rows / claimed) }
    let sample = Matrix(rows: claimed, columns: dimension, values: values)
    // Where it fails, nothing more is known than before; the search itself says what is the matter.
    let curve = sample.flatMap { try? RecallMeasure(snapshot: self, loop: options.loop).curve(of: $0) }
    board.add(asked: curve, claimed: claimed)
  }

  /// How the recall of walks was measured.
  public var calibration: Calibration { board.current }

  /// The pool that a search of ten neighbours has when it asks for nothing, and the recall@10 to be expected of it; nil when
  /// it is exact.
  public var defaultPool: (ef: Int, expectedRecall: Double)? {
    let plan = plan(SearchOptions(k: 10), allowed: live.count)
    return plan.ef.map { ($0, plan.expectedRecall ?? 0) }
  }
}

/// A graph as a snapshot sees it.
public struct GraphState: Sendable {
  /// Where searches start.
  let entries: EntryPoints
  /// Slots in the graph, dead ones included that are still walked over.
  public let size: Int
}
