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

  /// y = x·Wᵀ + b: x [rows, inputs], y [rows, outputs].
  func forward(
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

  /// The pieces of ``addWeightGradient(_:_:rows:piece:_:to:)``: so many outputs each that a product is fast, and so few that
  /// threads can share them.
  var pieces: Int { (outputs + Self.outputsPerPiece - 1) / Self.outputsPerPiece }
  private static let outputsPerPiece = 192

  /// dW += dyᵀ·x and db += Σ dy, for the outputs of one piece: dy [rows, outputs], x [rows, inputs].
  func addWeightGradient(
    _ dy: UnsafePointer<Float>, _ x: UnsafePointer<Float>, rows: Int, piece: Int, _ context: PassContext,
    to gradients: UnsafeMutablePointer<Float>
  ) {
    let wanted = piece * Self.outputsPerPiece..<min(outputs, (piece + 1) * Self.outputsPerPiece)
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
