import Encoder
import SimilarityCore

/// The head of SimSiam and BYOL that predicts a vector of one view from that of the other: a dense layer, a norm, ReLU and a
/// second dense layer. The papers normalise over the batch; LayerNorm (Ba et al. 2016, arXiv 1607.06450) stands in its place,
/// because the rows of a batch must not depend on each other. It is used in training alone.
///
///     p = W₂·max(0, LayerNorm(W₁·x + b₁)) + b₂
final class Predictor {
  let trained: TrainedArray
  private let dimension: Int
  private let width: Int
  private let entries: [ParameterLayout.Entry]
  private let loop: ParallelLoop

  private let kernels = Kernels.active

  private static let epsilon: Float = 1e-5
  /// Rows of one piece of work: fixed, so that no result depends on the number of threads.
  private static let rowsPerPiece = 256

  /// - Parameters:
  ///   - dimension: values of a vector.
  ///   - width: values between the two layers.
  /// - Throws: ``EncodingFailure/outOfMemory``.
  init(dimension: Int, width: Int, seed: UInt64, threads: Int) throws(EncodingFailure) {
    var layout = ParameterLayout()
    layout.add("0.weight", [width, dimension], .matrix)
    layout.add("0.bias", [width], .bias)
    layout.add("1.weight", [width], .norm)
    layout.add("1.bias", [width], .norm)
    layout.add("3.weight", [dimension, width], .matrix)
    layout.add("3.bias", [dimension], .bias)
    trained = try TrainedArray("predictor", layout)
    entries = layout.entries
    self.dimension = dimension
    self.width = width
    loop = ParallelLoop(threads: threads)
    // As PyTorch initialises dense layers.
    var random = InitialValues(seed: seed, part: 1)
    for (index, inputs) in [(0, dimension), (1, dimension), (4, width), (5, width)] {
      random.fillUniformly(trained.values(entries[index]), bound: 1 / Double(inputs).squareRoot())
    }
    trained.values(entries[2]).update(repeating: 1)
  }

  /// What the backward pass needs.
  struct Pass {
    let input: Matrix
    /// Before the norm: [rows, width].
    let sums: FloatBuffer
    /// The mean and 1/σ of each row: [rows, 2].
    let statistics: FloatBuffer
    /// Behind the norm: [rows, width].
    let normed: FloatBuffer
    /// Behind ReLU: [rows, width].
    let hidden: FloatBuffer
  }

  private func values(_ entry: Int) -> UnsafeMutablePointer<Float> { trained.values.start + entries[entry].start }
  private func gradients(_ entry: Int) -> UnsafeMutablePointer<Float> { trained.gradients.start + entries[entry].start }

  /// Calls `body` with consecutive parts of the rows, on several threads.
  private func forEachPiece(_ rows: Int, _ body: (Range<Int>) throws(ProductFailure) -> Void) throws(ProductFailure) {
    let size = Self.rowsPerPiece
    try loop.forEachPiece((rows + size - 1) / size) { piece throws(ProductFailure) in
      try body(piece * size..<min(rows, (piece + 1) * size))
    }
  }

  /// - Parameter input: [rows, dimension], at least one row.
  /// - Returns: [rows, dimension].
  /// - Throws: `ProductFailure` when the matrix library fails.
  func forward(_ input: Matrix) throws(ProductFailure) -> (rows: Matrix, pass: Pass) {
    let (rows, dimension, width) = (input.rows, dimension, width)
    let pass = Pass(
      input: input, sums: FloatBuffer(rows * width), statistics: FloatBuffer(2 * rows),
      normed: FloatBuffer(rows * width), hidden: FloatBuffer(rows * width))
    let out = FloatBuffer(rows * dimension)
    try input.withBaseAddress { x throws(ProductFailure) in
      try forEachPiece(rows) { part throws(ProductFailure) in
        let (first, count) = (part.lowerBound * width, part.count)
        let (sums, normed, hidden) = (pass.sums.start + first, pass.normed.start + first, pass.hidden.start + first)
        try Product.ofRows(
          x + part.lowerBound * dimension, rows: count, values(0), columns: width, inner: dimension, into: sums,
          stride: width)
        kernels.addBias(values(1), rows: count, width: width, to: sums)
        kernels.layerNormForward(
          sums, residual: nil, gamma: values(2), beta: values(3), epsilon: Self.epsilon, rows: count, width: width,
          sum: sums, statistics: pass.statistics.start + 2 * part.lowerBound, into: normed)
        kernels.activateForward(normed, count: count * width, .relu, into: hidden)
        let target = out.start + part.lowerBound * dimension
        try Product.ofRows(
          hidden, rows: count, values(4), columns: dimension, inner: width, into: target, stride: dimension)
        kernels.addBias(values(5), rows: count, width: dimension, to: target)
      }
    }
    return (Matrix(rows, dimension, Array(out[0..<rows * dimension])), pass)
  }

  /// Adds to the gradients of ``trained``.
  ///
  /// - Parameter derivatives: by the rows of the forward pass.
  /// - Returns: the derivatives by its input.
  func backward(_ pass: Pass, _ derivatives: Matrix) throws(ProductFailure) -> Matrix {
    let (rows, dimension, width) = (pass.input.rows, dimension, width)
    let hidden = FloatBuffer(rows * width)
    hidden.start.initialize(repeating: 0, count: rows * width)
    let out = FloatBuffer(rows * dimension)
    out.start.initialize(repeating: 0, count: rows * dimension)
    try derivatives.withBaseAddress { dy throws(ProductFailure) in
      try Product.addTransposed(
        weights: dy, count: dimension, stride: dimension, rows: pass.hidden.start, inner: rows, columns: width,
        to: gradients(4))
      kernels.addColumnSums(dy, rows: rows, width: dimension, to: gradients(5))
      try forEachPiece(rows) { part throws(ProductFailure) in
        let first = part.lowerBound * width
        let slopes = hidden.start + first
        try Product.add(
          weights: dy + part.lowerBound * dimension, count: part.count, stride: dimension, rows: values(4),
          inner: dimension, columns: width, to: slopes)
        kernels.activateBackward(slopes, pass.normed.start + first, count: part.count * width, .relu, into: slopes)
      }
    }
    kernels.layerNormBackward(
      hidden.start, pass.sums.start, statistics: pass.statistics.start, gamma: values(2), rows: rows, width: width,
      dx: hidden.start, dgamma: gradients(2), dbeta: gradients(3))
    try forEachPiece(rows) { part throws(ProductFailure) in
      try Product.add(
        weights: hidden.start + part.lowerBound * width, count: part.count, stride: width, rows: values(0),
        inner: width, columns: dimension, to: out.start + part.lowerBound * dimension)
    }
    try pass.input.withBaseAddress { x throws(ProductFailure) in
      try Product.addTransposed(
        weights: hidden.start, count: width, stride: width, rows: x, inner: rows, columns: dimension, to: gradients(0))
    }
    kernels.addColumnSums(hidden.start, rows: rows, width: width, to: gradients(1))
    return Matrix(rows, dimension, Array(out[0..<rows * dimension]))
  }
}
