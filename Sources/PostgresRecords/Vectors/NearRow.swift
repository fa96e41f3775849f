import VectorIndex
import VectorStore

/// A vector as the database's index compares it: of unit length under the cosine, and rounded to what the column's type holds.
///
/// What rounding has lost is known, so that exact searches can tell which rows might be nearer than they look:
/// ‖vector − values‖ ≤ slack, with both of unit length under the cosine.
struct NearRow {
  let values: [Float]
  let slack: Double
  /// ‖vector‖, 1 under the cosine.
  let size: Double

  /// - Parameter isQuery: whether the scale does not matter, so that a query of a dot product has unit length, too.
  init(_ vector: [Float], _ metric: Metric, _ storage: DatabaseStorage, isQuery: Bool = false) {
    let norm = Self.norm(vector)
    let scaled = metric == .cosine || (isQuery && metric == .dot)
    // A query of zeros has no direction, and nothing to be scaled.
    let factor = scaled && norm > 0 ? 1 / norm : 1
    var values: [Float] = []
    values.reserveCapacity(vector.count)
    var lost = 0.0
    for value in vector {
      let exact = Double(value) * factor
      let kept = Self.rounded(Float(exact), storage)
      let difference = exact - Double(kept)
      lost += difference * difference
      values.append(kept)
    }
    self.values = values
    // Rounded up, since it is a bound.
    slack = lost.squareRoot() * (1 + 1e-12)
    size = scaled ? 1 : norm * (1 + 1e-12)
  }

  private static func norm(_ values: [Float]) -> Double {
    values.reduce(0) { $0 + Double($1) * Double($1) }.squareRoot()
  }

  /// The nearest value that the type holds. Beyond its range the nearest end of it: slack then tells how far that is off. Squares of
  /// values of the other type have to stay within f32, in which the database sums them up.
  private static func rounded(_ value: Float, _ storage: DatabaseStorage) -> Float {
    switch storage {
    case .halfvec: Float(Float16(min(max(value, -65504), 65504)))
    case .vector: min(max(value, -1e15), 1e15)
    }
  }
}

/// How far the database's order can be off for a query: everything that an exact search has to look at.
///
/// The database gives `d`, the negative inner product of the rounded unit vectors or the distance of the rounded vectors, summed up in
/// f32. A row can be as near as `limit` only if `d · scale − slack · slackFactor − size · sizeFactor ≤ limit` (Cauchy–Schwarz, or the
/// triangle inequality, and the error of a sum of n products in f32, at most n·2⁻²³ of the sum of their magnitudes).
struct NearBound {
  let scale: Double
  let slackFactor: Double
  let sizeFactor: Double
  private let metric: Metric
  /// ‖query‖ of a dot product, whose scores are as many times larger.
  private let length: Double
  private let queryLost: Double

  init(_ query: [Float], _ near: NearRow, _ metric: Metric) {
    self.metric = metric
    let rounding = Double(query.count + 8) * 0x1p-23
    queryLost = near.slack
    let norm = query.reduce(0) { $0 + Double($1) * Double($1) }.squareRoot()
    length = metric == .dot ? norm : 1
    if metric == .euclidean {
      (scale, slackFactor, sizeFactor) = (1 - rounding, 1, 0)
    } else {
      let rounded = 1 + near.slack
      scale = 1
      slackFactor = rounded * (1 + rounding)
      sizeFactor = near.slack + rounded * rounding + 1e-9
    }
  }

  /// - Parameter score: of the last of the k best rows.
  func limit(_ score: Double) -> Double {
    switch metric {
    case .cosine: -score + 1e-12
    case .dot: -score / length + 1e-30
    case .euclidean: -score * (1 + 1e-12) + queryLost + 1e-30
    }
  }

  /// Whether no row behind one with this `d` can be as near as `limit`.
  ///
  /// - Parameters:
  ///   - slack: the largest of the collection.
  ///   - size: the largest of the collection.
  func isBeyond(_ limit: Double, _ d: Double, slack: Double, size: Double) -> Bool {
    d * scale - slack * slackFactor - size * sizeFactor > limit
  }
}
