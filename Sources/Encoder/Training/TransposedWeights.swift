import SimilarityCore

/// The weights of one layer at a time as a forward pass multiplies with them fastest.
// SAFETY: a step writes them, each piece its own columns, and later steps read them.
final class TransposedWeights: @unchecked Sendable {
  private let memory: AlignedMemory
  private let pool: TrainingMemory
  /// Where each dense layer's weights begin.
  private var starts: [Int] = []

  /// - Parameter layers: the dense layers of each layer.
  init(_ layers: [[TrainableDense]], _ pool: TrainingMemory) throws(EncodingFailure) {
    let floats = layers.map { $0.reduce(0) { $0 + Self.room($1) } }.max() ?? 0
    memory = try pool.take(floats: floats)
    self.pool = pool
  }

  deinit { pool.give(back: memory) }

  private static func room(_ dense: TrainableDense) -> Int { (dense.inputs * dense.outputs + 15) / 16 * 16 }

  /// Writes the weights of these dense layers.
  func write(_ layers: [TrainableDense], _ context: PassContext) throws(EncodingFailure) {
    var next = 0
    starts = layers.map { dense in
      defer { next += Self.room(dense) }
      return next
    }
    let pieces = layers.indices.flatMap { layer in (0..<layers[layer].pieces).map { (layer, $0) } }
    let targets = layers.indices.map { memory.floats + starts[$0] }
    try context.step(pieces.count) { piece, _ in
      let (layer, part) = pieces[piece]
      layers[layer].transpose(piece: part, context, into: targets[layer])
    }
  }

  /// The weights of the dense layer with this number, [inputs, outputs].
  subscript(layer: Int) -> UnsafePointer<Float> { UnsafePointer(memory.floats + starts[layer]) }
}
