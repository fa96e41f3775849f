import SimilarityCore

/// The recall@10 of walks by pool size, measured on queries that were not in the graph.
public struct RecallCurve: Sendable, Equatable {
  /// The pool sizes that are measured.
  public static let pools = [
    2, 4, 6, 8, 10, 13, 16, 20, 24, 32, 40, 48, 64, 80, 96, 128, 160, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072,
    4096,
  ]
  /// The number of queries that a curve represents at most: when more are added, older ones count for less.
  static let window = 512.0

  /// What was measured of walks with one pool size.
  public struct Point: Sendable, Equatable {
    /// The number of queries; not a whole number where older ones count for less.
    public var queries = 0.0
    /// The sum of their recalls.
    public var recall = 0.0
    /// The sum of the squares of their recalls.
    public var squares = 0.0
    /// The sum of the numbers of slots that they met.
    public var met = 0.0

    public init(queries: Double = 0, recall: Double = 0, squares: Double = 0, met: Double = 0) {
      (self.queries, self.recall, self.squares, self.met) = (queries, recall, squares, met)
    }

    /// The four sums.
    public var values: [Double] { [queries, recall, squares, met] }

    fileprivate mutating func scale(by share: Double) {
      self = Point(queries: share * queries, recall: share * recall, squares: share * squares, met: share * met)
    }

    fileprivate mutating func add(_ other: Point) {
      self = Point(
        queries: queries + other.queries, recall: recall + other.recall, squares: squares + other.squares,
        met: met + other.met)
    }

    fileprivate var isSound: Bool {
      values.allSatisfy { $0.isFinite && $0 >= 0 } && recall <= queries + 1e-6 && squares <= recall + 1e-6
    }
  }

  /// What exact searches compared, summed over queries.
  public typealias Scans = ScanEffort

  /// A point for each of ``pools``.
  public private(set) var points: [Point]
  /// How much the exact search compares for such queries.
  public private(set) var scans: ScanEffort

  public init() {
    points = [Point](repeating: Point(), count: Self.pools.count)
    scans = ScanEffort()
  }

  /// - Returns: nil when the values are not those of a curve.
  public init?(points: [Point], scans: ScanEffort) {
    guard points.count == Self.pools.count, points.allSatisfy(\.isSound), scans.isSound else { return nil }
    (self.points, self.scans) = (points, scans)
  }

  /// The number of queries that were measured.
  public var queries: Double { points[0].queries }

  /// Adds what was measured on other queries.
  mutating func add(_ other: RecallCurve) {
    let kept = max(0, min(1, (Self.window - other.queries) / max(1, queries)))
    // In a new array, since readers share the old one.
    points = zip(points, other.points).map { old, new in
      var sum = old
      sum.scale(by: kept)
      sum.add(new)
      return sum
    }
    scans = scans.fading(before: other.scans)
  }

  package mutating func add(_ new: ScanEffort) { scans = scans.fading(before: new) }

  package mutating func add(_ point: Point, at index: Int) {
    points[index].add(point)
  }

  /// Multiplies the weight of the measured queries by `share`, so that new ones count for more.
  package mutating func fade(to share: Double) {
    points = points.map { point in
      var faded = point
      faded.scale(by: share)
      return faded
    }
  }

  /// The recall with the pool size at `index`; nil when it was not measured.
  func recall(at index: Int) -> Double? {
    points[index].queries > 0 ? points[index].recall / points[index].queries : nil
  }

  /// The mean number of slots that a walk with the pool size at `index` meets; 0 when it was not measured.
  func met(at index: Int) -> Double {
    points[index].queries > 0 ? points[index].met / points[index].queries : 0
  }

  /// The cost of all walks that measure one query; nil when none was measured.
  func cost(_ costs: SearchCosts) -> Double? {
    guard queries > 0 else { return nil }
    return points.indices.reduce(0) { $0 + met(at: $1) * costs.met(ef: Double(Self.pools[$1])) }
  }

  /// The standard error of ``recall(at:)``, from the variance between queries, since a query that misses a neighbour often misses
  /// all of them. It includes a small term for misses too rare to appear in a sample of this size.
  func error(at index: Int) -> Double {
    let (queries, recall) = (max(1, points[index].queries), recall(at: index) ?? 0)
    let variance = max(0, points[index].squares / queries - recall * recall)
    return (variance / queries).squareRoot() + 0.25 / queries
  }

  /// The recall with a pool of `ef`, interpolated between the measured pool sizes; nil when none was measured.
  package func recall(ef: Int) -> Double? {
    let known = Self.pools.indices.filter { points[$0].queries > 0 }
    guard let first = known.first, let last = known.last else { return nil }
    guard ef > Self.pools[first] else { return ef == Self.pools[first] ? recall(at: first) : nil }
    guard let upper = known.first(where: { Self.pools[$0] >= ef }) else { return recall(at: last) }
    guard let lower = known.last(where: { Self.pools[$0] < ef }), let low = recall(at: lower),
      let high = recall(at: upper)
    else { return nil }
    let share = Double(ef - Self.pools[lower]) / Double(Self.pools[upper] - Self.pools[lower])
    return low + share * (high - low)
  }
}

extension ScanEffort {
  /// The number of queries that are represented at most: when more are added, older ones count for less.
  private static let window = 32.0

  /// The three sums.
  public var values: [Double] { [queries, rough, full] }

  /// The mean of one query; nil when there was none.
  var mean: ScanEffort? {
    queries > 0 ? ScanEffort(queries: 1, rough: rough / queries, full: full / queries) : nil
  }

  fileprivate func fading(before new: ScanEffort) -> ScanEffort {
    let kept = max(0, min(1, (Self.window - new.queries) / max(1, queries)))
    return ScanEffort(
      queries: kept * queries + new.queries, rough: kept * rough + new.rough, full: kept * full + new.full)
  }

  fileprivate var isSound: Bool { values.allSatisfy { $0.isFinite && $0 >= 0 } }
}

/// Measures the recall of walks: it searches exactly for each query, then with one pool size after another.
struct RecallMeasure {
  /// The last pool size that is tried is the first whose walks cost so many times the exact search.
  static let mostCost = 1.0
  private static let complete = 0.9995

  let snapshot: IndexSnapshot
  let loop: ParallelLoop

  /// - Returns: nil when there is nothing to search for or in.
  /// - Throws: ``ProductFailure`` when the matrix library fails.
  func curve(of queries: Matrix) throws(ProductFailure) -> RecallCurve? {
    var options = SearchOptions(k: 10)
    options.loop = loop
    let k = min(10, snapshot.count)
    guard k > 0, queries.rows > 0, let exact = snapshot.search(queries, options, .exact) else { return nil }
    let (truth, scans) = try exact.runExactly(sampled: min(BatchSearch.mostSampled, (queries.rows + 7) / 8))
    var curve = RecallCurve()
    let costs = SearchCosts(dimension: snapshot.dimension)
    curve.add(scans)
    let scan = scans.mean.map(costs.scan) ?? .infinity
    for (index, ef) in RecallCurve.pools.enumerated() {
      guard let found = try snapshot.search(queries, options, SearchPlan(ef: ef))?.run() else { return nil }
      var point = RecallCurve.Point(queries: Double(queries.rows))
      for (walk, exact) in zip(found, truth) {
        // Of equally near rows any is right.
        let least = exact.neighbors.last?.score ?? -.infinity
        let recall = Double(walk.neighbors.count { $0.score >= least }) / Double(k)
        point.recall += recall
        point.squares += recall * recall
        point.met += Double(walk.met)
      }
      curve.add(point, at: index)
      let isDear = point.met * costs.met(ef: Double(ef)) > Self.mostCost * Double(queries.rows) * scan
      if point.recall >= Self.complete * Double(queries.rows) || isDear { break }
    }
    return curve
  }
}
