import SimilarityCore

/// What the products of one dense layer take beside the values themselves.
// SAFETY: a step writes the weights, each piece its own; the rows of a piece are written and read by its thread, and read by
// all threads in later steps.
enum DenseOperand: @unchecked Sendable {
  /// The weights as columns, [inputs, outputs], with which a forward pass multiplies fastest.
  case transposed(UnsafeMutablePointer<Float>)
  case rounded(Rounded)

  /// Both sides of the products in bf16.
  struct Rounded {
    /// [outputs, inputs].
    let weights: UnsafeMutablePointer<UInt16>
    /// [rows, inputs]: what the layer takes, with zeros behind the last row.
    let x: UnsafeMutablePointer<UInt16>
    /// [rows, outputs]: the derivatives by what it gives, with zeros behind the last row.
    let dy: UnsafeMutablePointer<UInt16>
    /// The number of rows, a multiple of ``rowsPerGroup``.
    let rows: Int
  }

  /// Products of other numbers of rows would each be compiled by the library.
  static let rowsPerGroup = 16
}

/// The operands of one layer at a time.
// SAFETY: as of ``DenseOperand``.
final class LayerOperands: @unchecked Sendable {
  private let memory: AlignedMemory
  private let pool: TrainingMemory
  /// Of the dense layers of every layer, which have the same shapes.
  let operands: [DenseOperand]

  /// - Parameters:
  ///   - dense: the dense layers of a layer.
  ///   - rounds: whether products are of bf16.
  init(
    _ dense: [TrainableDense], rows: Int, rounds: Bool, _ pool: TrainingMemory
  ) throws(EncodingFailure) {
    var plan = BufferPlan()
    // Whole pieces of the sum over rows, too.
    let rows = (rows + 31) / 32 * 32
    let places = dense.map { layer -> [Int] in
      guard rounds else { return [plan.add(layer.inputs * layer.outputs)] }
      return [layer.inputs * layer.outputs, rows * layer.inputs, rows * layer.outputs].map { plan.add(($0 + 1) / 2) }
    }
    let memory = try pool.take(floats: plan.floats)
    self.memory = memory
    self.pool = pool
    operands = places.map { places in
      guard rounds else { return .transposed(memory.floats + places[0]) }
      // SAFETY: the memory is aligned for every type, and only ever used as these parts.
      let parts = places.map { (memory.start + 4 * $0).assumingMemoryBound(to: UInt16.self) }
      return .rounded(DenseOperand.Rounded(weights: parts[0], x: parts[1], dy: parts[2], rows: rows))
    }
    guard rounds else { return }
    for (layer, operand) in zip(dense, operands) {
      guard case .rounded(let rounded) = operand else { continue }
      rounded.x.update(repeating: 0, count: rows * layer.inputs)
      rounded.dy.update(repeating: 0, count: rows * layer.outputs)
    }
  }

  deinit { pool.give(back: memory) }

  /// Writes the weights of these dense layers.
  func write(_ layers: [TrainableDense], _ context: PassContext) throws(EncodingFailure) {
    let pieces = layers.indices.flatMap { layer in (0..<layers[layer].pieces).map { (layer, $0) } }
    try context.step(pieces.count) { [operands] piece, _ in
      let (layer, part) = pieces[piece]
      layers[layer].prepare(piece: part, context, operands[layer])
    }
  }
}
