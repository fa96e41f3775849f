import Platform
import SimilarityCore

/// A query and its scores. All searches take their final scores from here, as f64 sums over the stored rows.
struct ScoredQuery {
  let values: UnsafeBufferPointer<Float>
  /// ‖query‖².
  let square: Double
  let metric: Metric
  let rows: RowBlocks
  let kernels: Kernels

  init(_ values: UnsafeBufferPointer<Float>, metric: Metric, rows: RowBlocks, kernels: Kernels) {
    self.values = values
    self.metric = metric
    self.rows = rows
    self.kernels = kernels
    square = kernels.dot(values, values)
  }

  /// ‖query‖.
  var norm: Double { square.squareRoot() }

  /// Exactly 1 under the cosine, and 0 (not −0) as a distance, for a row whose values are those of the query.
  func score(_ slot: Int) -> Double {
    RowScore.of(rows.row(slot), square: rows.square(slot), to: values, querySquare: square, metric, kernels)
  }

  /// The `k` best of `slots`, best first; equal scores are in the order of `tiePrecedes`.
  func best(_ k: Int, of slots: UnsafeBufferPointer<UInt32>, tiePrecedes: (Int, Int) -> Bool) -> [Candidate] {
    var found: [Candidate] = []
    let room = min(slots.count, 2 * k + 32)
    found.reserveCapacity(room)
    var least = -Double.infinity
    func keepBest() {
      found.sort { a, b in a.score != b.score ? a.score > b.score : tiePrecedes(a.position, b.position) }
      found.removeLast(max(0, found.count - k))
    }
    for (index, slot) in slots.enumerated() {
      // Rows lie scattered in memory: the next ones are fetched while this one is summed.
      if index + 2 < slots.count { kernels.prefetch(rows.row(Int(slots[index + 2]))) }
      let score = score(Int(slot))
      guard !(score < least) else { continue }
      found.append(Candidate(position: Int(slot), score: score))
      guard found.count == room else { continue }
      keepBest()
      if found.count == k, k > 0 { least = found[k - 1].score }
    }
    keepBest()
    return found
  }
}

/// A row that a search has found.
public struct Candidate: Sendable, Equatable {
  /// The slot of the row.
  public let position: Int
  /// The score; a larger one is nearer.
  public let score: Double

  public init(position: Int, score: Double) {
    self.position = position
    self.score = score
  }
}
