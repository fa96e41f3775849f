import SimilarityCore

/// What the forward pass of a transformer keeps.
final class TransformerPass: TrainingPass {
  let rows: TokenRows
  let dropout: Dropout?
  /// The rows of the largest values, where the pooling needs them.
  var largest: [Int32] = []
  /// What each module behind the pooling took, and gave before its activation.
  var modules: [(input: Matrix, sums: Matrix)] = []
  private let memory: AlignedMemory
  private let outerFloats: Int
  private let layerFloats: Int
  private let pool: TrainingMemory

  /// - Parameter layers: for how many layers there is room.
  init(
    _ rows: TokenRows, _ dropout: Dropout?, _ outer: BufferPlan, _ layer: BufferPlan, layers: Int,
    _ pool: TrainingMemory
  ) throws(EncodingFailure) {
    self.rows = rows
    self.dropout = dropout
    (outerFloats, layerFloats) = (outer.floats, layer.floats)
    self.pool = pool
    memory = try pool.take(floats: rows.count * (outerFloats + layers * layerFloats))
  }

  deinit { pool.give(back: memory) }

  /// What stands before and behind the layers.
  var outer: KeptRows { KeptRows(start: memory.floats, tokens: rows.count) }

  func layer(_ index: Int) -> KeptRows {
    KeptRows(start: memory.floats + rows.count * (outerFloats + index * layerFloats), tokens: rows.count)
  }
}
