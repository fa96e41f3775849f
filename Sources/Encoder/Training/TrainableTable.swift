import SimilarityCore

/// A table of token vectors as a model that can be trained: the vector of a text is the mean of the rows of its tokens, as
/// Sentence Transformers' StaticEmbedding has it. A text without tokens has the vector 0.
///
/// Dropout sets values of the mean to zero.
package final class TrainableTable: TrainableModel {
  package let layout: ParameterLayout
  package let dimension: Int
  package let longestSequence = 1 << 24
  /// The number of rows.
  package let vocabularySize: Int
  /// The share of a text's values that dropout sets to zero.
  private let dropoutProbability: Float
  private let kernels: Kernels
  private let read: @Sendable (FloatArray) throws(EncoderError) -> Void

  /// The name of the table in `model.safetensors`.
  package static let tensor = "embedding.weight"
  /// Columns of one piece of the backward pass: the pieces write to different cache lines of the gradients.
  private static let columnsPerPiece = 64

  /// - Parameters:
  ///   - vocabularySize: the number of rows, at least 1, as `dimension` is.
  ///   - name: what the checkpoint calls the table.
  ///   - dropout: the share of a text's values that are set to zero in training, from 0 to below 1.
  ///   - load: writes the first values, [vocabularySize, dimension].
  package init(
    vocabularySize: Int, dimension: Int, named name: String = TrainableTable.tensor, dropout: Float = 0,
    kernels: Kernels = .active,
    load: @escaping @Sendable (FloatArray) throws(EncoderError) -> Void
  ) {
    precondition(vocabularySize > 0 && dimension > 0, "a table of \(vocabularySize) rows of \(dimension) values")
    var layout = ParameterLayout()
    layout.add(name, [vocabularySize, dimension], .table)
    self.layout = layout
    self.vocabularySize = vocabularySize
    self.dimension = dimension
    dropoutProbability = dropout
    self.kernels = kernels
    read = load
  }

  package func load(into values: FloatArray) throws(EncoderError) { try read(values) }

  /// Tokens, and nothing else: the backward pass needs no values.
  package func keptBytes(lengths: [Int]) -> Int { lengths.reduce(0) { $0 + 32 + 4 * $1 } }

  private final class Pass: TrainingPass {
    let sequences: [TokenSequence]
    let dropout: Dropout?

    init(_ sequences: [TokenSequence], _ dropout: Dropout?) {
      self.sequences = sequences
      self.dropout = dropout
    }
  }

  package func forward(
    _ sequences: [TokenSequence], _ values: FloatArray, dropout: Dropout?, keeps: Bool, _ team: Team?
  ) throws(EncodingFailure) -> (rows: Matrix, pass: TrainingPass?) {
    for (index, sequence) in sequences.enumerated() {
      guard sequence.ids.allSatisfy({ $0 >= 0 && Int($0) < vocabularySize }) else { throw .invalidInput(index) }
    }
    let (width, table, kernels) = (dimension, values.start, kernels)
    let dropout = dropoutProbability > 0 ? dropout : nil
    let probability = dropoutProbability
    let rows = Matrix(rows: sequences.count, columns: width) { out in
      guard let start = out.baseAddress else { return }
      // SAFETY: the ids are below the number of rows, and each part has rows of its own.
      nonisolated(unsafe) let target = start
      Team.forEachPart(of: sequences.count, team) { part, _ in
        for index in part {
          let row = target + index * width
          for id in sequences[index].ids { kernels.add(table + Int(id) * width, count: width, to: row) }
          let factor = 1 / Float(max(1, sequences[index].count))
          for column in 0..<width { row[column] *= factor }
          guard let dropout else { continue }
          kernels.dropout(
            row, count: width, from: 0, seed: dropout.seed, serial: dropout.serials[index], site: 0,
            probability: probability, into: row)
        }
      }
    }
    return (rows, keeps ? Pass(sequences, dropout) : nil)
  }

  package func backward(
    _ pass: TrainingPass, rows: Matrix, _ values: FloatArray, from depth: Int, into gradients: FloatArray, _ team: Team?
  ) throws(EncodingFailure) {
    guard depth == 0, let pass = pass as? Pass, !pass.sequences.isEmpty else { return }
    precondition(rows.rows == pass.sequences.count && rows.columns == dimension, "the rows are another pass's")
    let (width, sequences, kernels) = (dimension, pass.sequences, kernels)
    let (dropout, probability) = (pass.dropout, dropoutProbability)
    rows.withBaseAddress { start in
      // SAFETY: the pass has checked the ids, and each piece writes to columns of its own. A column's sums are in the order of
      // the tokens, whatever thread adds them.
      nonisolated(unsafe) let (source, target) = (start, gradients.start)
      let add = { (piece: Int, _: Int) in
        let first = piece * Self.columnsPerPiece
        let count = min(Self.columnsPerPiece, width - first)
        withUnsafeTemporaryAllocation(of: Float.self, capacity: count) { share in
          guard let row = share.baseAddress else { return }
          for (index, sequence) in sequences.enumerated() {
            let factor = 1 / Float(max(1, sequence.count))
            for column in 0..<count { row[column] = source[index * width + first + column] * factor }
            if let dropout {
              kernels.dropout(
                row, count: count, from: first, seed: dropout.seed, serial: dropout.serials[index], site: 0,
                probability: probability, into: row)
            }
            for id in sequence.ids { kernels.add(row, count: count, to: target + Int(id) * width + first) }
          }
        }
      }
      let pieces = (width + Self.columnsPerPiece - 1) / Self.columnsPerPiece
      if let team { team.forEachPiece(pieces, add) } else { for piece in 0..<pieces { add(piece, 0) } }
    }
  }
}
