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

  private static let epsilon = 1e-5
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
    /// Behind the norm's division by σ, before its gain: [rows, width].
    let normalised: FloatBuffer
    /// 1/σ of each row.
    let factors: FloatBuffer
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
      input: input, normalised: FloatBuffer(rows * width), factors: FloatBuffer(rows),
      hidden: FloatBuffer(rows * width))
    let out = FloatBuffer(rows * dimension)
    let (gain, offset) = (values(2), values(3))
    try input.withBaseAddress { x throws(ProductFailure) in
      try forEachPiece(rows) { part throws(ProductFailure) in
        let z = pass.normalised.start + part.lowerBound * width
        try Product.ofRows(
          x + part.lowerBound * dimension, rows: part.count, values(0), columns: width, inner: dimension, into: z,
          stride: width)
        for row in part {
          let z = pass.normalised[row * width..<(row + 1) * width]
          let hidden = pass.hidden[row * width..<(row + 1) * width]
          for column in 0..<width { z[column] += values(1)[column] }
          let mean = z.reduce(0) { $0 + Double($1) } / Double(width)
          let variance = z.reduce(0) { $0 + (Double($1) - mean) * (Double($1) - mean) } / Double(width)
          let factor = 1 / (variance + Self.epsilon).squareRoot()
          pass.factors.start[row] = Float(factor)
          for column in 0..<width {
            z[column] = Float((Double(z[column]) - mean) * factor)
            hidden[column] = max(0, z[column] * gain[column] + offset[column])
          }
        }
        let target = out.start + part.lowerBound * dimension
        try Product.ofRows(
          pass.hidden.start + part.lowerBound * width, rows: part.count, values(4), columns: dimension, inner: width,
          into: target, stride: dimension)
        for row in 0..<part.count {
          for column in 0..<dimension { target[row * dimension + column] += values(5)[column] }
        }
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
    let gain = values(2)
    try derivatives.withBaseAddress { dy throws(ProductFailure) in
      try Product.addTransposed(
        weights: dy, count: dimension, stride: dimension, rows: pass.hidden.start, inner: rows, columns: width,
        to: gradients(4))
      addColumns(dy, rows: rows, width: dimension, to: gradients(5))
      try forEachPiece(rows) { part throws(ProductFailure) in
        try Product.add(
          weights: dy + part.lowerBound * dimension, count: part.count, stride: dimension, rows: values(4),
          inner: dimension, columns: width, to: hidden.start + part.lowerBound * width)
        for index in part.lowerBound * width..<part.upperBound * width where pass.hidden.start[index] <= 0 {
          hidden.start[index] = 0
        }
      }
    }
    // The norm's gain and offset.
    for row in 0..<rows {
      for column in 0..<width {
        gradients(2)[column] += hidden.start[row * width + column] * pass.normalised.start[row * width + column]
      }
    }
    addColumns(hidden.start, rows: rows, width: width, to: gradients(3))
    // Through the norm: dz = (g − mean(g) − ẑ·mean(g·ẑ))/σ with g = gain·dy.
    try forEachPiece(rows) { part throws(ProductFailure) in
      for row in part {
        let dz = hidden[row * width..<(row + 1) * width]
        let z = pass.normalised[row * width..<(row + 1) * width]
        var (sum, along) = (0.0, 0.0)
        for column in 0..<width {
          dz[column] *= gain[column]
          sum += Double(dz[column])
          along += Double(dz[column]) * Double(z[column])
        }
        let (mean, slope) = (Float(sum / Double(width)), Float(along / Double(width)))
        for column in 0..<width { dz[column] = (dz[column] - mean - z[column] * slope) * pass.factors.start[row] }
      }
      try Product.add(
        weights: hidden.start + part.lowerBound * width, count: part.count, stride: width, rows: values(0),
        inner: width, columns: dimension, to: out.start + part.lowerBound * dimension)
    }
    try pass.input.withBaseAddress { x throws(ProductFailure) in
      try Product.addTransposed(
        weights: hidden.start, count: width, stride: width, rows: x, inner: rows, columns: dimension, to: gradients(0))
    }
    addColumns(hidden.start, rows: rows, width: width, to: gradients(1))
    return Matrix(rows, dimension, Array(out[0..<rows * dimension]))
  }

  private func addColumns(_ x: UnsafePointer<Float>, rows: Int, width: Int, to out: UnsafeMutablePointer<Float>) {
    for row in 0..<rows { Kernels.active.add(x + row * width, count: width, to: out) }
  }
}
