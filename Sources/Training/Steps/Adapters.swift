import Encoder
import SimilarityCore

/// Low-rank adapters (LoRA; Hu et al. 2021, arXiv 2106.09685, section 4.1) beside every dense matrix of a model's layers:
///
///     W + s·B·A,   s = α/r,   A [r, inputs], B [outputs, r]
///
/// W stays as it was; A begins with random values and B with zeros, so that the model begins as it was too. The sums are made
/// before a step, so that the model need not know of them: ∂/∂B = s·∂/∂W·Aᵀ and ∂/∂A = s·Bᵀ·∂/∂W.
final class Adapters {
  /// A and B of each matrix.
  let trained: TrainedArray
  /// The model with the sums in place of its matrices.
  let effective: FloatArray
  /// ∂/∂W for the whole model.
  let gradients: FloatArray

  private struct Pair {
    let matrix: ParameterLayout.Entry
    let a: ParameterLayout.Entry
    let b: ParameterLayout.Entry
  }

  private let base: FloatArray
  private let rank: Int
  private let scale: Float
  private let pairs: [Pair]
  private let loop: ParallelLoop

  /// - Parameters:
  ///   - base: the model's values, which stay as they are.
  ///   - depth: matrices of a smaller depth have no adapters.
  /// - Returns: nil when the model has no such matrices.
  /// - Throws: ``EncodingFailure/outOfMemory``.
  init?(
    _ layout: ParameterLayout, base: FloatArray, rank: Int, alpha: Float, from depth: Int, seed: UInt64, threads: Int
  ) throws(EncodingFailure) {
    var adapted = ParameterLayout()
    var pairs: [Pair] = []
    for entry in layout.entries where entry.role == .matrix && entry.depth >= max(1, depth) && entry.shape.count == 2 {
      // The name without its ending, as PEFT names adapters.
      let stem = entry.name.hasSuffix(".weight") ? String(entry.name.dropLast(7)) : entry.name
      adapted.add("\(stem).lora_A.weight", folder: entry.folder, [rank, entry.shape[1]], .matrix, depth: entry.depth)
      adapted.add("\(stem).lora_B.weight", folder: entry.folder, [entry.shape[0], rank], .matrix, depth: entry.depth)
      pairs.append(
        Pair(
          matrix: entry, a: adapted.entries[adapted.entries.count - 2], b: adapted.entries[adapted.entries.count - 1]))
    }
    guard !pairs.isEmpty else { return nil }
    trained = try TrainedArray("adapters", adapted)
    effective = try FloatArray(copying: base)
    gradients = try FloatArray(base.count)
    (self.base, self.rank, self.pairs) = (base, rank, pairs)
    scale = alpha / Float(rank)
    loop = ParallelLoop(threads: threads)
    var random = InitialValues(seed: seed, part: 2)
    for pair in pairs {
      random.fillUniformly(trained.values(pair.a), bound: 1 / Double(pair.a.shape[1]).squareRoot())
    }
  }

  /// Makes ``effective`` of the adapters as they are.
  ///
  /// - Throws: `ProductFailure` when the matrix library fails.
  func merge() throws(ProductFailure) {
    try loop.forEachPiece(pairs.count) { index throws(ProductFailure) in
      let pair = pairs[index]
      let scaled = FloatBuffer(pair.b.count)
      for (place, value) in trained.values(pair.b).enumerated() { scaled.start[place] = value * scale }
      let target = effective.start + pair.matrix.start
      target.update(from: base.start + pair.matrix.start, count: pair.matrix.count)
      // SAFETY: the shapes are those of the layouts.
      try Product.add(
        weights: scaled.start, count: pair.matrix.shape[0], stride: rank, rows: trained.values.start + pair.a.start,
        inner: rank, columns: pair.matrix.shape[1], to: target)
    }
  }

  /// Makes the gradients of ``trained`` from ``gradients``.
  func pullBack() throws(ProductFailure) {
    trained.gradients.clear()
    try loop.forEachPiece(pairs.count) { index throws(ProductFailure) in
      let pair = pairs[index]
      let (outputs, inputs) = (pair.matrix.shape[0], pair.matrix.shape[1])
      let matrix = gradients.start + pair.matrix.start
      let (a, b) = (trained.gradients.start + pair.a.start, trained.gradients.start + pair.b.start)
      // SAFETY: the shapes are those of the layouts.
      try Product.ofRows(
        matrix, rows: outputs, trained.values.start + pair.a.start, columns: rank, inner: inputs, into: b, stride: rank)
      try Product.addTransposed(
        weights: trained.values.start + pair.b.start, count: rank, stride: rank, rows: matrix, inner: outputs,
        columns: inputs, to: a)
      for place in 0..<pair.a.count { a[place] *= scale }
      for place in 0..<pair.b.count { b[place] *= scale }
    }
  }
}
