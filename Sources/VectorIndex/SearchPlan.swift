import SimilarityCore

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
