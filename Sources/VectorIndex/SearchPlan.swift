import SimilarityCore

/// How a batch of queries is to be searched.
public struct SearchOptions: Sendable {
  public enum Mode: Sendable, Equatable {
    /// The graph where there is one and it pays, the exact search elsewhere.
    case automatic
    case exact
    /// The graph with a pool of this many candidates, or its own choice.
    case graph(ef: Int?)
  }

  /// Neighbours of each query.
  public var k: Int
  public var mode = Mode.automatic
  /// Recall@10 that the pool is chosen for, in 0.5 ... 1, where 1 is exact; nil for the index's own.
  public var recallTarget: Double?
  /// Only these slots are found; nil for all.
  public var allowed: SlotSet?
  /// For each query a slot to leave out; empty when there is none.
  public var excluded: [Int?] = []
  /// The threads that share the queries.
  public var loop = ParallelLoop(threads: 1)

  public init(k: Int) { self.k = k }
}

/// What a search found.
public struct SearchResult: Sendable {
  /// For each query its neighbours, best first; ties in the order that the caller gave.
  public var neighbors: [[Candidate]]
  /// How they were found.
  public var usedGraph: Bool { ef != nil }
  /// The pool of the walks; nil for the exact search.
  public var ef: Int?
  /// Recall@10 as it was measured with such a pool; nil when it was not.
  public var expectedRecall: Double?

  init(neighbors: [[Candidate]], plan: SearchPlan) {
    self.neighbors = neighbors
    (ef, expectedRecall) = (plan.ef, plan.expectedRecall)
  }
}

/// Whether a search goes over the graph, and with how large a pool. It depends on the snapshot, its calibration and the
/// options, never on how many queries come together.
struct SearchPlan {
  /// The longest pool that is asked for by a recall.
  private static let longestPool = 4096
  /// Nanoseconds of a scan that is always taken under a filter.
  private static let smallScan = 15_000.0

  /// nil for the exact search.
  var ef: Int?
  /// Nanoseconds that the exact search would take; a walk that costs much more is given up.
  var scan: Double
  /// Recall@10 of such walks as it was measured; nil when it was not.
  var expectedRecall: Double?

  static let exact = SearchPlan(ef: nil, expectedRecall: 1)

  private init(ef: Int?, expectedRecall: Double?, scan: Double = .infinity) {
    (self.ef, self.expectedRecall, self.scan) = (ef, expectedRecall, scan)
  }

  /// A walk with this pool, whatever it finds.
  init(ef: Int) { self.init(ef: ef, expectedRecall: nil) }

  init(
    _ options: SearchOptions, live: Int, allowed: Int, graph: GraphState?, calibration: Calibration,
    defaultTarget: Double, costs: SearchCosts
  ) {
    guard let graph, allowed > 0 else {
      self = .exact
      return
    }
    // Of what a walk finds, this part counts: the rest is dead or does not match.
    let share = Double(allowed) / Double(max(allowed, graph.size))
    let scan = costs.scan(of: allowed, among: live, measured: calibration.scan(costs))
    // Pools were measured for ten neighbours.
    let factor = max(1, Double(options.k) / 10)
    switch options.mode {
    case .exact:
      self = .exact
    case .graph(let ef?):
      self.init(
        ef: max(1, Int(min(Double(ef) / share, Double(graph.size)))),
        expectedRecall: calibration.expectedRecall(ef: ef), scan: scan)
    case .graph(nil), .automatic:
      let target = options.recallTarget ?? defaultTarget
      let choice = target < 1 ? calibration.choice(target: target) : nil
      guard let choice else {
        // What is not known is answered exactly, unless the graph is wanted.
        let longest = Int(Double(calibration.longest ?? 64) * factor / share)
        self = options.mode == .automatic ? .exact : Self(ef: longest, expectedRecall: nil, scan: scan)
        return
      }
      let pool = Double(choice.ef) * factor / share
      // Matches may lie near each other or not: what a walk over them costs at least. It ends itself when it costs more.
      let walk = choice.met * factor * costs.met(ef: Double(choice.ef) * factor)
      // So few matches are scanned before a walk is well under way.
      let isSmall = allowed < live && scan < Self.smallScan
      let isLong = Double(choice.ef) * factor > Double(Self.longestPool)
      if options.mode == .automatic, isLong || isSmall || walk > scan {
        self = .exact
        return
      }
      self.init(
        ef: max(1, Int(min(pool.rounded(.up), Double(graph.size)))), expectedRecall: choice.expectedRecall, scan: scan)
    }
  }
}

/// What a search costs in nanoseconds on one core, about. Only ratios count, and only whether another way is cheaper.
package struct SearchCosts {
  /// What a scan costs however little it compares.
  private static let setup = 5_000.0
  /// Of each cell, so many places of the last tile are empty.
  private static let emptyPerCell = 32

  /// Where nothing was measured, lists are read when at least one in so many of their rows counts.
  private static let sparsest = (inLists: 16, inRecords: 4)

  /// How much more a scan in the order of cells may seem to cost.
  private static let worthOrder = 1.2

  private let hasCodes: Bool
  private let compared: Double
  /// For a row that a scan compares by the upper half of its codes.
  private let rough: Double
  /// For a row that a scan compares by all bits.
  private let full: Double
  /// For a row and a query in a product of many.
  private let product: Double

  package init(dimension: Int) {
    hasCodes = InvertedLists.hasCodes(dimension: dimension)
    let isDivided = CodeRecords.isDivided(dimension: dimension)
    let dimension = Double(dimension)
    compared = 6 + 2.5 * (1 + (isDivided ? 0.5 : 1) * dimension / 64)
    // Halves of codes lie side by side in the lists, or anywhere.
    rough = hasCodes ? 0.3 + 0.01 * dimension : 2 + 0.013 * dimension
    full = 8 + 0.01 * dimension
    product = 0.4 + 0.006 * dimension
  }

  /// For a slot that a walk meets: it is compared with the query, and some are put in their place in the pool.
  func met(ef: Double) -> Double { compared + 0.03 * ef }

  /// For scans that compare so much.
  func scan(_ scans: ScanEffort) -> Double {
    scans.queries * Self.setup + scans.rough * rough + scans.full * full
  }

  /// For a scan of `allowed` of `live` rows.
  ///
  /// - Parameter measured: what a scan of all rows compares; nil when that is not known.
  func scan(of allowed: Int, among live: Int, measured: ScanEffort?) -> Double {
    min(oneByOne(allowed), byCell(allowed, among: live, measured) ?? .infinity)
  }

  /// Whether a scan of `allowed` of `live` rows is to read the lists, cell by cell, and not those rows alone.
  func readsLists(_ allowed: Int, among live: Int, measured: ScanEffort?) -> Bool {
    guard allowed < live else { return true }
    guard let cost = byCell(allowed, among: live, measured) else {
      return allowed * (hasCodes ? Self.sparsest.inLists : Self.sparsest.inRecords) >= live
    }
    // Near cells come first, with a threshold for the rest.
    return cost <= Self.worthOrder * oneByOne(allowed)
  }

  /// Whether to go on in the order of cells, over so many rows, costs less than to compare `allowed` rows one by one.
  func readsCells(rows: Int, for allowed: Int) -> Bool {
    rows <= allowed || Double(rows) * rough <= Double(allowed) * full
  }

  private func oneByOne(_ allowed: Int) -> Double { Self.setup + Double(allowed) * full }

  private func byCell(_ allowed: Int, among live: Int, _ measured: ScanEffort?) -> Double? {
    guard let measured = measured?.mean, allowed > 0 else { return nil }
    // The fewer match, the farther is the k-th of them.
    let farther = (Double(max(allowed, live)) / Double(allowed)).squareRoot()
    return scan(
      ScanEffort(
        queries: 1, rough: min(Double(live), measured.rough * farther),
        full: min(Double(allowed), measured.full * farther)))
  }

  /// For one query of many that are compared with all rows in one pass.
  func pass(over rows: Int, cells: Int) -> Double { Double(rows + Self.emptyPerCell * cells) * product }
}
