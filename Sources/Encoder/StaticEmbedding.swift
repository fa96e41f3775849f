import SimilarityCore

/// An encoder without a transformer: the vector of a text is the mean of the vectors of its tokens. Sentence
/// Transformers calls it StaticEmbedding, and model2vec makes such tables from larger encoders.
final class StaticEmbedding: Architecture {
  let hiddenSize: Int
  let vocabularySize: Int
  /// Nothing but the memory for its ids limits the length of a text.
  let longestSequence = 1 << 24
  let givesSums = true
  private let table: WordTable
  private let kernels: Kernels

  /// - Throws: ``EncoderError`` naming the tensor that is missing, malformed or not supported.
  init(_ checkpoint: Checkpoint, _ kernels: Kernels) throws(EncoderError) {
    let source = WeightSource(checkpoint, prefix: "", precision: .f32, kernels: kernels)
    let name = checkpoint.tensor("embeddings") == nil ? "embedding.weight" : "embeddings"
    let shape = try source.tensor(name, [nil, nil]).shape
    guard shape[0] > 0, shape[1] > 0 else { throw .folder(key: "model.safetensors: \(name)", message: "is empty") }
    // With these, tokens share rows or are weighted, and the mean of the rows would be another vector.
    for key in ["mapping", "weights"] where checkpoint.tensor(key) != nil {
      throw .folder(key: "model.safetensors: \(key)", message: "is not supported; only plain tables are")
    }
    table = try WordTable(source, name, vocabulary: shape[0], width: shape[1])
    vocabularySize = shape[0]
    hiddenSize = shape[1]
    self.kernels = kernels
  }

  func forward(
    _ sequences: [TokenSequence], _ team: Team?, _ read: (UnsafePointer<Float>) -> Matrix
  ) throws(EncodingFailure) -> Matrix {
    let means = Matrix(rows: sequences.count, columns: hiddenSize) { out in
      guard var target = out.baseAddress else { return }
      for sequence in sequences {
        // SAFETY: the caller has checked the ids, and there is a row for each sequence.
        for id in sequence.ids { kernels.add(table.row(id), count: hiddenSize, to: target) }
        let factor = 1 / Float(max(1, sequence.count))
        for index in 0..<hiddenSize { target[index] *= factor }
        target += hiddenSize
      }
    }
    return means.values.withUnsafeBufferPointer { values in
      // A matrix without rows may have no address.
      guard let start = values.baseAddress else { return Matrix(rows: 0, columns: 0) { _ in } }
      return read(start)
    }
  }
}
