import SimilarityCore

/// A dense layer y = x·Wᵀ + b whose weights are tensors of the layout: one, or several whose outputs stand one after
/// another, such as the projections to queries, keys and values.
struct TrainableDense: Sendable {
  /// Outputs whose weights stand one after another.
  private struct Part: Sendable {
    /// The first output, and the number of outputs.
    let first: Int
    var count: Int
    /// Where the values begin.
    let start: Int
  }

  let inputs: Int
  let outputs: Int
  private let weights: [Part]
  /// Empty where there is none.
  private let biases: [Part]

  /// - Parameters:
  ///   - weights, biases: where each tensor begins, and how many outputs it has.
  init(inputs: Int, weights: [(start: Int, outputs: Int)], biases: [(start: Int, outputs: Int)]) {
    self.inputs = inputs
    outputs = weights.reduce(0) { $0 + $1.outputs }
    self.weights = Self.joined(weights, width: inputs)
    self.biases = Self.joined(biases, width: 1)
  }

  /// Tensors without a gap between them are one product.
  private static func joined(_ tensors: [(start: Int, outputs: Int)], width: Int) -> [Part] {
    var parts: [Part] = []
    var first = 0
    for (start, count) in tensors {
      if let last = parts.last, last.start + last.count * width == start {
        parts[parts.count - 1].count += count
      } else {
        parts.append(Part(first: first, count: count, start: start))
      }
      first += count
    }
    return parts
  }

  /// Writes the weights of one piece of outputs as columns of Wᵀ, [inputs, outputs]. Products with that are faster by a
  /// quarter, since the library would rearrange the weights for every piece of rows.
  func transpose(piece: Int, _ context: PassContext, into transposed: UnsafeMutablePointer<Float>) {
    let wanted = outputs(of: piece)
    for part in weights {
      let found = wanted.clamped(to: part.first..<part.first + part.count)
      let first = context.values + part.start + (found.lowerBound - part.first) * inputs
      Self.transpose(first, rows: found.count, columns: inputs, into: transposed + found.lowerBound, stride: outputs)
    }
  }

  /// out[c·stride + r] = x[r·columns + c]. Whole cache lines are written, in squares of 4·4 values.
  private static func transpose(
    _ x: UnsafePointer<Float>, rows: Int, columns: Int, into out: UnsafeMutablePointer<Float>, stride: Int
  ) {
    let (wholeRows, wholeColumns) = (rows / 16 * 16, columns / 4 * 4)
    for row in Swift.stride(from: 0, to: wholeRows, by: 16) {
      for column in Swift.stride(from: 0, to: wholeColumns, by: 4) {
        for part in Swift.stride(from: row, to: row + 16, by: 4) {
          // SAFETY: unaligned loads and stores within the four rows and columns.
          let from = UnsafeRawPointer(x + part * columns + column)
          let a = from.loadUnaligned(as: SIMD4<Float>.self)
          let b = (from + 4 * columns).loadUnaligned(as: SIMD4<Float>.self)
          let c = (from + 8 * columns).loadUnaligned(as: SIMD4<Float>.self)
          let d = (from + 12 * columns).loadUnaligned(as: SIMD4<Float>.self)
          let to = UnsafeMutableRawPointer(out + column * stride + part)
          to.storeBytes(of: SIMD4(a.x, b.x, c.x, d.x), as: SIMD4<Float>.self)
          (to + 4 * stride).storeBytes(of: SIMD4(a.y, b.y, c.y, d.y), as: SIMD4<Float>.self)
          (to + 8 * stride).storeBytes(of: SIMD4(a.z, b.z, c.z, d.z), as: SIMD4<Float>.self)
          (to + 12 * stride).storeBytes(of: SIMD4(a.w, b.w, c.w, d.w), as: SIMD4<Float>.self)
        }
      }
    }
    for row in 0..<rows {
      for column in row < wholeRows ? wholeColumns..<columns : 0..<columns {
        out[column * stride + row] = x[row * columns + column]
      }
    }
  }

  /// y = x·Wᵀ + b: x [rows, inputs], y [rows, outputs].
  ///
  /// - Parameter transposed: Wᵀ where all pieces of ``transpose(piece:_:into:)`` have been written.
  func forward(
    _ x: UnsafePointer<Float>, rows: Int, _ context: PassContext, transposed: UnsafePointer<Float>? = nil,
    into y: UnsafeMutablePointer<Float>
  ) {
    guard let transposed else { return forward(x, rows: rows, context, into: y) }
    if biases.isEmpty { y.update(repeating: 0, count: rows * outputs) }
    for row in 0..<rows {
      for part in biases {
        (y + row * outputs + part.first).update(from: context.values + part.start, count: part.count)
      }
    }
    context.attempt { () throws(ProductFailure) in
      try Product.add(
        weights: x, count: rows, stride: inputs, rows: transposed, inner: inputs, columns: outputs, to: y)
    }
  }

  private func forward(
    _ x: UnsafePointer<Float>, rows: Int, _ context: PassContext, into y: UnsafeMutablePointer<Float>
  ) {
    context.attempt { () throws(ProductFailure) in
      for part in weights {
        try Product.ofRows(
          x, rows: rows, context.values + part.start, columns: part.count, inner: inputs, into: y + part.first,
          stride: outputs)
      }
    }
    if let only = biases.first, only.count == outputs {
      return context.kernels.addBias(context.values + only.start, rows: rows, width: outputs, to: y)
    }
    for row in biases.isEmpty ? 0..<0 : 0..<rows {
      for part in biases {
        context.kernels.add(context.values + part.start, count: part.count, to: y + row * outputs + part.first)
      }
    }
  }

  /// dx += dy·W: dy [rows, outputs], dx [rows, inputs].
  func addInputGradient(
    _ dy: UnsafePointer<Float>, rows: Int, _ context: PassContext, to dx: UnsafeMutablePointer<Float>
  ) {
    context.attempt { () throws(ProductFailure) in
      for part in weights {
        try Product.add(
          weights: dy + part.first, count: rows, stride: outputs, rows: context.values + part.start, inner: part.count,
          columns: inputs, to: dx)
      }
    }
  }

  /// Pieces of outputs: so many each that a product is fast, and so few that threads can share them.
  var pieces: Int { (outputs + Self.outputsPerPiece - 1) / Self.outputsPerPiece }
  private static let outputsPerPiece = 192

  private func outputs(of piece: Int) -> Range<Int> {
    piece * Self.outputsPerPiece..<min(outputs, (piece + 1) * Self.outputsPerPiece)
  }

  /// dW += dyᵀ·x and db += Σ dy, for the outputs of one piece: dy [rows, outputs], x [rows, inputs].
  func addWeightGradient(
    _ dy: UnsafePointer<Float>, _ x: UnsafePointer<Float>, rows: Int, piece: Int, _ context: PassContext,
    to gradients: UnsafeMutablePointer<Float>
  ) {
    let wanted = outputs(of: piece)
    context.attempt { () throws(ProductFailure) in
      for part in weights {
        let found = wanted.clamped(to: part.first..<part.first + part.count)
        guard !found.isEmpty else { continue }
        try Product.addTransposed(
          weights: dy + found.lowerBound, count: found.count, stride: outputs, rows: x, inner: rows, columns: inputs,
          to: gradients + part.start + (found.lowerBound - part.first) * inputs)
      }
    }
    for part in biases {
      let found = wanted.clamped(to: part.first..<part.first + part.count)
      guard !found.isEmpty else { continue }
      let target = gradients + part.start + found.lowerBound - part.first
      for row in 0..<rows {
        context.kernels.add(dy + row * outputs + found.lowerBound, count: found.count, to: target)
      }
    }
  }
}
