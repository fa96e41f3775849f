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
  let rows: RowBlocks
  private let scratch: WalkScratchPool
  private let registry: VersionRegistry
  let kernels: Kernels

  init(
    dimension: Int, metric: Metric, live: SlotSet, graph: GraphState?, version: Int, records: CodeRecords?,
    rows: RowBlocks, scratch: WalkScratchPool, registry: VersionRegistry, kernels: Kernels
  ) {
    self.dimension = dimension
    self.metric = metric
    self.live = live
    self.graph = graph
    self.version = version
    self.records = records
    self.rows = rows
    self.scratch = scratch
    self.registry = registry
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
    let plan = SearchPlan(options, live: live.count, allowed: allowed.count, graph: graph)
    guard let records, !allowed.isEmpty, options.k > 0 else {
      return SearchResult(
        neighbors: queries.values.isEmpty ? [] : .init(repeating: [], count: queries.rows), usedGraph: false)
    }
    let search = BatchSearch(
      queries: queries, options: options, plan: plan, allowed: allowed, records: records, snapshot: self,
      scratch: scratch, tiePrecedes: tiePrecedes)
    guard let neighbors = search.run() else { throw .outOfMemory }
    return SearchResult(neighbors: neighbors, usedGraph: plan.ef != nil)
  }
}
