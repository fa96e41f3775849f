import Platform
import SimilarityCore
import Synchronization

/// What is known of the recall of a graph's walks, on two kinds of queries: rows before they were linked, which are drawn from
/// the data, and queries that clients asked, which may be of another kind.
public struct Calibration: Sendable {
  /// Fewer queries of clients say too little.
  static let fewestAsked = 32.0

  /// Rows that were searched for before they were linked.
  public package(set) var rows = RecallCurve()
  /// Queries of clients.
  public package(set) var asked = RecallCurve()
  /// When it was last measured, in seconds since 1970; nil before.
  public package(set) var measuredAt: Int?

  /// What a walk has to meet to reach a recall.
  package struct Choice {
    package let ef: Int
    /// Slots that a walk meets.
    package let met: Double
    package let expectedRecall: Double
  }

  package init() {}

  private var curves: [RecallCurve] { [rows, asked.queries >= Self.fewestAsked ? asked : nil].compactMap(\.self) }

  /// The shortest pool whose recall was at least `target` on queries of both kinds, less the error of measuring it; nil when
  /// none was.
  package func choice(target: Double) -> Choice? {
    for (index, ef) in RecallCurve.pools.enumerated() {
      var least = 1.0
      var met = 0.0
      var isEnough = true
      for curve in curves {
        guard let recall = curve.recall(at: index) else {
          isEnough = false
          break
        }
        isEnough = isEnough && recall - curve.error(at: index) >= target
        least = min(least, recall)
        met = max(met, curve.met(at: index))
      }
      if isEnough { return Choice(ef: ef, met: met, expectedRecall: least) }
    }
    return nil
  }

  /// The longest pool whose recall is known.
  package var longest: Int? {
    RecallCurve.pools.indices.last { rows.recall(at: $0) != nil }.map { RecallCurve.pools[$0] }
  }

  /// What an exact search compares on average, for the kind of queries that takes longer; nil when nothing is known.
  package func scan(_ costs: SearchCosts) -> ScanEffort? {
    curves.compactMap(\.scans.mean).max { costs.scan($0) < costs.scan($1) }
  }

  /// Recall@10 to be expected of a pool of `ef`; nil when nothing is known.
  package func expectedRecall(ef: Int) -> Double? { curves.compactMap { $0.recall(ef: ef) }.min() }

  static var now: Int { time(nil) }
}

/// The calibration of an index, which its writer and its readers add to.
final class CalibrationBoard: Sendable {
  /// Client queries that are measured when little is known of them; later one of so many.
  private static let firstAsked = 64
  private static let askedShare = 4096

  private struct State {
    var calibration = Calibration()
    /// Client queries since the last one that was measured.
    var passed = 0
    /// Client queries that are being measured.
    var pending = 0
  }

  private let state = Mutex(State())

  var current: Calibration { state.withLock { $0.calibration } }

  func reset(rows: RecallCurve) {
    state.withLock {
      $0 = State()
      $0.calibration.rows = rows
      $0.calibration.measuredAt = rows.queries > 0 ? Calibration.now : nil
    }
  }

  func add(rows: RecallCurve) {
    state.withLock {
      $0.calibration.rows.add(rows)
      $0.calibration.measuredAt = Calibration.now
    }
  }

  /// How many of `count` queries that a client asks are to be measured; ``add(asked:)`` must follow.
  func claim(of count: Int) -> Int {
    state.withLock { state in
      let known = Int(state.calibration.asked.queries) + state.pending
      var claimed = max(0, min(count, Self.firstAsked - known))
      if claimed == 0 {
        state.passed += count
        claimed = min(count, state.passed / Self.askedShare)
        state.passed %= Self.askedShare
      }
      state.pending += claimed
      return claimed
    }
  }

  /// - Parameter claimed: what ``claim(of:)`` returned; nothing was measured of it where `asked` is nil.
  func add(asked: RecallCurve?, claimed: Int) {
    state.withLock { state in
      state.pending -= claimed
      guard let asked else { return }
      state.calibration.asked.add(asked)
      state.calibration.measuredAt = Calibration.now
    }
  }

  /// The graph has changed: the next queries of clients are measured again.
  func fade() {
    state.withLock { $0.calibration.asked.fade(to: 0.25) }
  }
}
