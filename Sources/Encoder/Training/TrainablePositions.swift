import SimilarityCore

/// Rotary positions, which have no parameters. The backward pass rotates back.
struct TrainableRotary: Sendable {
  private let table: RotaryTable
  private let oppositeSines: [Float]

  init(_ table: RotaryTable) {
    self.table = table
    oppositeSines = table.sines.map { -$0 }
  }

  /// Rotates the heads of `count` tokens from `position` on; rows are `stride` values apart.
  func apply(
    _ x: UnsafeMutablePointer<Float>, position: Int, count: Int, stride: Int, heads: Int, headWidth: Int,
    _ kernels: Kernels, backward: Bool
  ) {
    table.cosines.withUnsafeBufferPointer { cosines in
      (backward ? oppositeSines : table.sines).withUnsafeBufferPointer { sines in
        // SAFETY: the tables have a row for every position of the longest sequence.
        guard let cosine = cosines.baseAddress, let sine = sines.baseAddress else { return }
        kernels.rotatePairs(
          x, rows: count, stride: stride, heads: heads, headWidth: headWidth, half: table.half,
          cosines: cosine + position * table.half, sines: sine + position * table.half)
      }
    }
  }
}

/// The learned bias of the scores by distance, which all layers share: a table [buckets, heads].
struct TrainableRelativeBias: Sendable {
  /// Where the table begins.
  let start: Int
  let buckets: Int
  let heads: Int
  let keyHeads: Int
  /// That of the attention.
  let scale: Float

  /// [heads, 2·longest − 1]: the bias of each head and distance, as attention takes it.
  func values(longest: Int, _ values: UnsafePointer<Float>) -> [Float] {
    // Attention multiplies by the scale after it has added the bias.
    let factor = 1 / scale
    return (0..<heads).flatMap { head in
      (1 - longest..<longest).map { values[start + bucket(of: $0) * heads + head] * factor }
    }
  }

  /// Adds the derivatives of one text by what is added to its scaled scores, [heads, 2·length − 1], for some heads.
  func add(
    _ found: UnsafePointer<Float>, length: Int, keyHeads part: Range<Int>, to gradients: UnsafeMutablePointer<Float>
  ) {
    let group = heads / keyHeads
    for head in part.lowerBound * group..<part.upperBound * group {
      for distance in 1 - length..<length {
        gradients[start + bucket(of: distance) * heads + head] +=
          found[head * (2 * length - 1) + length - 1 + distance]
      }
    }
  }

  private func bucket(of distance: Int) -> Int {
    min(TransformerDescription.relativeBucket(of: distance, buckets: buckets), buckets - 1)
  }
}
