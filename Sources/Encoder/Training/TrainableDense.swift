import SimilarityCore

/// A dense layer y = x·Wᵀ + b whose weights are tensors of the layout: one, or several whose outputs stand one after
/// another, such as the projections to queries, keys and values.
struct TrainableDense: Sendable {
  /// Outputs whose weights stand one after another.
  struct Part: Sendable {
    /// The first output, and the number of outputs.
    let first: Int
    var count: Int
    /// Where the values begin.
    let start: Int
  }

  let inputs: Int
  let outputs: Int
  let weights: [Part]
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

  /// y = x·Wᵀ + b: x [part.count, inputs], y [part.count, outputs].
  ///
  /// - Parameter operand: where ``prepare(piece:_:_:)`` has written the weights; nil to multiply with the values themselves.
  func forward(
    _ x: UnsafePointer<Float>, _ part: Range<Int>, _ context: PassContext, _ operand: DenseOperand?,
    _ scratch: TrainingWorkspace.Scratch, into y: UnsafeMutablePointer<Float>
  ) {
    guard let operand else { return forward(x, rows: part.count, context, into: y) }
    if biases.isEmpty { y.update(repeating: 0, count: part.count * outputs) }
    for row in 0..<part.count {
      for bias in biases {
        (y + row * outputs + bias.first).update(from: context.values + bias.start, count: bias.count)
      }
    }
    switch operand {
    case .transposed(let weights):
      context.attempt { () throws(ProductFailure) in
        try Product.add(
          weights: x, count: part.count, stride: inputs, rows: weights, inner: inputs, columns: outputs, to: y)
      }
    case .rounded(let rounded):
      round(input: x, part, operand)
      add(
        rounded.x + part.lowerBound * inputs, inner: inputs,
        RoundedMatrix(rounded.weights, stride: inputs, isTransposed: true), rows: part.count, columns: outputs, context,
        scratch, to: y)
    }
  }

  /// y = x·Wᵀ + b with the values themselves: x [rows, inputs], y [rows, outputs].
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

  /// dx += dy·W: dy [part.count, outputs], dx [part.count, inputs].
  func addInputGradient(
    _ dy: UnsafePointer<Float>, _ part: Range<Int>, _ context: PassContext, _ operand: DenseOperand?,
    _ scratch: TrainingWorkspace.Scratch, to dx: UnsafeMutablePointer<Float>
  ) {
    guard case .rounded(let rounded)? = operand else {
      return addInputGradient(dy, rows: part.count, context, to: dx)
    }
    let target = rounded.dy + part.lowerBound * outputs
    Product.round(dy, count: part.count * outputs, into: target)
    add(
      target, inner: outputs, RoundedMatrix(rounded.weights, stride: inputs), rows: part.count, columns: inputs,
      context,
      scratch, to: dx)
  }

  /// dx += dy·W with the values themselves: dy [rows, outputs], dx [rows, inputs].
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

  func outputs(of piece: Int) -> Range<Int> {
    piece * Self.outputsPerPiece..<min(outputs, (piece + 1) * Self.outputsPerPiece)
  }

  /// dW += dyᵀ·x and db += Σ dy, for the outputs of one piece: dy [rows, outputs], x [rows, inputs].
  ///
  /// - Parameter operand: has both in bf16, where it is of bf16.
  func addWeightGradient(
    _ dy: UnsafePointer<Float>, _ x: UnsafePointer<Float>, rows: Int, piece: Int, _ context: PassContext,
    _ operand: DenseOperand? = nil, to gradients: UnsafeMutablePointer<Float>
  ) {
    let wanted = outputs(of: piece)
    context.attempt { () throws(ProductFailure) in
      for part in weights {
        let found = wanted.clamped(to: part.first..<part.first + part.count)
        guard !found.isEmpty else { continue }
        if case .rounded(let rounded)? = operand {
          try Product.add(
            RoundedMatrix(rounded.dy + found.lowerBound, stride: outputs, isTransposed: true),
            RoundedMatrix(rounded.x, stride: inputs), rows: found.count, columns: inputs, inner: rounded.rows,
            to: gradients + part.start + (found.lowerBound - part.first) * inputs, stride: inputs)
          continue
        }
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
