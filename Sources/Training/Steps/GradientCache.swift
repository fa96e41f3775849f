import Encoder
import SimilarityCore

/// The sequences of one batch on their way through the model and back, in little memory (Gao et al. 2021, arXiv 2101.06983):
/// a loss over the whole batch needs the vectors of all its texts, but the gradients of the vectors are all that it says
/// about the model. So texts whose activations have no room are embedded without keeping any, and embedded once more, with
/// the same dropout, when the gradients of their vectors are known.
package final class GradientCache {
  private let model: any TrainableModel
  private let sequences: [TokenSequence]
  private let dropout: Dropout?
  private let chunkTokens: Int
  private let blocks: Blocks
  /// What the passes of the first blocks kept.
  private var passes: [TrainingPass] = []

  /// - Parameters:
  ///   - dropout: with a serial number for each sequence; nil for none.
  ///   - chunkTokens: the most tokens whose activations are kept at the same time, except that those of one block always are.
  package init(_ model: any TrainableModel, _ sequences: [TokenSequence], dropout: Dropout?, chunkTokens: Int) {
    precondition(dropout.map { $0.serials.count == sequences.count } ?? true, "each sequence needs a serial number")
    self.model = model
    self.sequences = sequences
    self.dropout = dropout
    self.chunkTokens = chunkTokens
    blocks = Blocks(lengths: sequences.map(\.count))
  }

  /// The number of blocks whose activations have been kept.
  package var keptBlocks: Int { passes.count }

  /// The vectors of all sequences, [sequences, dimension].
  ///
  /// - Parameter keeps: whether ``backward(_:_:from:into:_:)`` will follow.
  /// - Throws: ``EncodingFailure``, with the index of the sequence in the batch.
  package func forward(_ values: FloatArray, keeps: Bool, _ crew: Crew) throws(EncodingFailure) -> Matrix {
    passes = []
    var (rows, keptTokens, isKeeping) = ([Float](), 0, keeps)
    rows.reserveCapacity(sequences.count * model.dimension)
    try crew.work { team throws(EncodingFailure) in
      for range in blocks.ranges {
        // The first blocks are kept and not the last ones, because the backward pass begins with them: what they hold is freed
        // before another block needs room.
        keptTokens += sequences[range].reduce(0) { $0 + $1.count }
        isKeeping = isKeeping && keptTokens <= chunkTokens
        let (found, pass) = try run(range, values, keeps: isKeeping, team)
        rows += found.values
        if let pass { passes.append(pass) }
      }
    }
    let matrix = Matrix(sequences.count, model.dimension, rows)
    for index in 0..<matrix.rows where !matrix.row(index).allSatisfy(\.isFinite) { throw .notFinite(index) }
    return matrix
  }

  /// Adds the derivatives by the parameters, block after block.
  ///
  /// - Parameters:
  ///   - rows: the derivatives by the vectors.
  ///   - values: as in the forward pass.
  ///   - depth: parameters of a smaller depth get none.
  package func backward(
    _ rows: Matrix, _ values: FloatArray, from depth: Int, into gradients: FloatArray, _ crew: Crew
  ) throws(EncodingFailure) {
    precondition(rows.rows == sequences.count, "\(rows.rows) rows for \(sequences.count) sequences")
    passes.reverse()
    try crew.work { team throws(EncodingFailure) in
      for range in blocks.ranges {
        var pass = passes.popLast()
        if pass == nil { pass = try run(range, values, keeps: true, team).pass }
        guard let pass else { preconditionFailure("a pass that was to be kept is missing") }
        try model.backward(pass, rows: rows.rows(range), values, from: depth, into: gradients, team)
      }
    }
  }

  private func run(
    _ range: Range<Int>, _ values: FloatArray, keeps: Bool, _ team: Team?
  ) throws(EncodingFailure) -> (rows: Matrix, pass: TrainingPass?) {
    let masks = dropout.map { Dropout(seed: $0.seed, serials: Array($0.serials[range])) }
    do throws(EncodingFailure) {
      return try model.forward(Array(sequences[range]), values, dropout: masks, keeps: keeps, team)
    } catch {
      switch error {
      case .invalidInput(let index): throw .invalidInput(range.lowerBound + index)
      case .notFinite(let index): throw .notFinite(range.lowerBound + index)
      case .outOfMemory: throw error
      }
    }
  }
}

extension Matrix {
  /// A copy of those rows, which must exist.
  func rows(_ range: Range<Int>) -> Matrix {
    Matrix(range.count, columns, Array(values[range.lowerBound * columns..<range.upperBound * columns]))
  }
}
