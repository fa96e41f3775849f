import SimilarityCore

/// How a batch of queries is to be searched.
public struct SearchOptions: Sendable {
  public enum Mode: Sendable, Equatable {
    /// The graph if there is one and it is faster, else the exact search.
    case automatic
    case exact
    /// The graph, with a pool of `ef` candidates; nil chooses the pool size by the recall target.
    case graph(ef: Int?)
  }

  /// The number of neighbours to find for each query.
  public var k: Int
  public var mode = Mode.automatic
  /// The recall@10 for which the pool size is chosen, in 0.5 ... 1, where 1 is exact; nil for the target of the index.
  public var recallTarget: Double?
  /// The only slots that may be found; nil for all.
  public var allowed: SlotSet?
  /// For each query a slot that must not be found, or nil; empty when there is none at all.
  public var excluded: [Int?] = []
  /// The threads that share the queries.
  public var loop = ParallelLoop(threads: 1)

  public init(k: Int) { self.k = k }
}

/// The result of a search.
public struct SearchResult: Sendable {
  /// The neighbours of each query, best first; equal scores are in the order that the caller chose.
  public var neighbors: [[Candidate]]
  /// Whether the graph was searched; false for the exact search.
  public var usedGraph: Bool { ef != nil }
  /// The pool size of the walks; nil for the exact search.
  public var ef: Int?
  /// The recall@10 measured with such a pool; nil when none was measured.
  public var expectedRecall: Double?

  init(neighbors: [[Candidate]], plan: SearchPlan) {
    self.neighbors = neighbors
    (ef, expectedRecall) = (plan.ef, plan.expectedRecall)
  }
}

/// Whether a search uses the graph, and with what pool size. It depends on the snapshot, its calibration and the options, never
/// on the number of queries in a batch.
struct SearchPlan {
  /// The largest pool that is chosen for a recall target.
  private static let longestPool = 4096
  /// Under a filter, a scan of at most so many nanoseconds is always preferred to a walk.
  private static let smallScan = 15_000.0

  /// The pool size of walks; nil for the exact search.
  var ef: Int?
  /// The estimated nanoseconds of the exact search. A walk that becomes more expensive ends in the exact search.
  var scan: Double
  /// The recall@10 measured for such walks; nil when none was measured.
  var expectedRecall: Double?

  static let exact = SearchPlan(ef: nil, expectedRecall: 1)

  private init(ef: Int?, expectedRecall: Double?, scan: Double = .infinity) {
    (self.ef, self.expectedRecall, self.scan) = (ef, expectedRecall, scan)
  }

  /// Walks with this pool size, whatever recall they reach.
  init(ef: Int) { self.init(ef: ef, expectedRecall: nil) }

  init(
    _ options: SearchOptions, live: Int, allowed: Int, graph: GraphState?, calibration: Calibration,
    defaultTarget: Double, costs: SearchCosts
  ) {
    guard let graph, allowed > 0 else {
      self = .exact
      return
    }
    // The share of the slots found by a walk that may be returned: the rest is dead or does not match.
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
        // Without a measurement that reaches the target the search is exact, unless the caller wants the graph.
        let longest = Int(Double(calibration.longest ?? 64) * factor / share)
        self = options.mode == .automatic ? .exact : Self(ef: longest, expectedRecall: nil, scan: scan)
        return
      }
      let pool = Double(choice.ef) * factor / share
      // The least that a walk over the matches costs; more, where they are far apart. It gives up when it costs too much.
      let walk = choice.met * factor * costs.met(ef: Double(choice.ef) * factor)
      // A scan of so few matches is over before a walk has got far.
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

/// Estimates of the cost of a search, in nanoseconds on one core. Only their ratios matter: they decide which way is cheaper.
package struct SearchCosts {
  /// The fixed cost of a scan.
  private static let setup = 5_000.0
  /// The average number of empty places in the last tile of a cell.
  private static let emptyPerCell = 32

  /// Without a measurement, lists are read when at least one in so many of their rows is allowed.
  private static let sparsest = (inLists: 16, inRecords: 4)

  /// A scan in the order of cells may be estimated at so many times the cost of the other way and still be preferred.
  private static let worthOrder = 1.2

  private let hasCodes: Bool
  private let compared: Double
  /// The cost of a row that a scan compares by the upper half of its codes.
  private let rough: Double
  /// The cost of a row that a scan compares by all bits.
  private let full: Double
  /// The cost of one row and one query in a product of many.
  private let product: Double

  package init(dimension: Int) {
    hasCodes = InvertedLists.hasCodes(dimension: dimension)
    let isDivided = CodeRecords.isDivided(dimension: dimension)
    let dimension = Double(dimension)
    compared = 6 + 2.5 * (1 + (isDivided ? 0.5 : 1) * dimension / 64)
    // In lists with codes the halves lie side by side; otherwise they are read from the records, in no order.
    rough = hasCodes ? 0.3 + 0.01 * dimension : 2 + 0.013 * dimension
    full = 8 + 0.01 * dimension
    product = 0.4 + 0.006 * dimension
  }

  /// The cost of a slot that a walk meets: it is compared with the query, and perhaps inserted into the pool.
  func met(ef: Double) -> Double { compared + 0.03 * ef }

  /// The cost of scans that compare as much as `scans` says.
  func scan(_ scans: ScanEffort) -> Double {
    scans.queries * Self.setup + scans.rough * rough + scans.full * full
  }

  /// The cost of a scan of `allowed` of `live` rows.
  ///
  /// - Parameter measured: how much a scan of all rows compares; nil when that is not known.
  func scan(of allowed: Int, among live: Int, measured: ScanEffort?) -> Double {
    min(oneByOne(allowed), byCell(allowed, among: live, measured) ?? .infinity)
  }

  /// Whether a scan of `allowed` of `live` rows should read the lists cell by cell, rather than only the allowed rows.
  func readsLists(_ allowed: Int, among live: Int, measured: ScanEffort?) -> Bool {
    guard allowed < live else { return true }
    guard let cost = byCell(allowed, among: live, measured) else {
      return allowed * (hasCodes ? Self.sparsest.inLists : Self.sparsest.inRecords) >= live
    }
    // Near cells come first and give a threshold for the rest.
    return cost <= Self.worthOrder * oneByOne(allowed)
  }

  /// Whether reading `rows` rows in the order of cells costs less than comparing `allowed` rows one by one.
  func readsCells(rows: Int, for allowed: Int) -> Bool {
    rows <= allowed || Double(rows) * rough <= Double(allowed) * full
  }

  private func oneByOne(_ allowed: Int) -> Double { Self.setup + Double(allowed) * full }

  private func byCell(_ allowed: Int, among live: Int, _ measured: ScanEffort?) -> Double? {
    guard let measured = measured?.mean, allowed > 0 else { return nil }
    // The fewer rows match, the farther away the k-th match is.
    let farther = (Double(max(allowed, live)) / Double(allowed)).squareRoot()
    return scan(
      ScanEffort(
        queries: 1, rough: min(Double(live), measured.rough * farther),
        full: min(Double(allowed), measured.full * farther)))
  }

  /// The cost of one query of many that are compared with all rows in one pass.
  func pass(over rows: Int, cells: Int) -> Double { Double(rows + Self.emptyPerCell * cells) * product }
}
