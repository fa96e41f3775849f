import Platform
import SimilarityCore
import Synchronization

/// The measured recall of walks over a graph, on two kinds of queries: rows before they were linked, which are distributed as the
/// data is, and queries of clients, which may be distributed differently.
public struct Calibration: Sendable {
  /// Fewer queries of clients than this are ignored.
  static let fewestAsked = 32.0

  /// The recall on rows before they were linked.
  public package(set) var rows = RecallCurve()
  /// The recall on queries of clients.
  public package(set) var asked = RecallCurve()
  /// The time of the last measurement, in seconds since 1970; nil when there was none.
  public package(set) var measuredAt: Int?

  /// The pool size for a recall target.
  package struct Choice {
    package let ef: Int
    /// The mean number of slots that a walk meets.
    package let met: Double
    package let expectedRecall: Double
  }

  package init() {}

  private var curves: [RecallCurve] { [rows, asked.queries >= Self.fewestAsked ? asked : nil].compactMap(\.self) }

  /// The smallest pool size whose recall, less its standard error, is at least `target` on queries of both kinds; nil when there
  /// is none.
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

  /// The largest pool size whose recall is known.
  package var longest: Int? {
    RecallCurve.pools.indices.last { rows.recall(at: $0) != nil }.map { RecallCurve.pools[$0] }
  }

  /// How much an exact search compares on average, for the kind of queries that takes longer; nil when nothing is known.
  package func scan(_ costs: SearchCosts) -> ScanEffort? {
    curves.compactMap(\.scans.mean).max { costs.scan($0) < costs.scan($1) }
  }

  /// The expected recall@10 of a pool of `ef`; nil when nothing is known.
  package func expectedRecall(ef: Int) -> Double? { curves.compactMap { $0.recall(ef: ef) }.min() }

  static var now: Int { time(nil) }
}

/// The calibration of an index, shared by its writer and its readers, who both add measurements.
final class CalibrationBoard: Sendable {
  /// So many of the first queries of clients are measured, and later one in `askedShare`.
  private static let firstAsked = 64
  private static let askedShare = 4096

  private struct State {
    var calibration = Calibration()
    /// The number of client queries since the last one that was measured.
    var passed = 0
    /// The number of client queries that are being measured.
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

  /// How many of the `count` queries of a client should be measured. ``add(asked:claimed:)`` must follow.
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

  /// - Parameters:
  ///   - asked: what was measured; nil when measuring failed.
  ///   - claimed: what ``claim(of:)`` returned.
  func add(asked: RecallCurve?, claimed: Int) {
    state.withLock { state in
      state.pending -= claimed
      guard let asked else { return }
      state.calibration.asked.add(asked)
      state.calibration.measuredAt = Calibration.now
    }
  }

  /// To be called when the graph has changed, so that the next queries of clients are measured again.
  func fade() {
    state.withLock { $0.calibration.asked.fade(to: 0.25) }
  }
}
