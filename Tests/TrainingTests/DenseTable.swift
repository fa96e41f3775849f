import Encoder
import SimilarityCore
import Synchronization

/// A table whose mean row goes through a dense layer: the smallest model with parameters of two depths, and one that adapters can
/// stand beside. It is written without regard to speed. Dropout sets values of the mean to zero.
final class DenseTable: TrainableModel {
  let layout: ParameterLayout
  let dimension: Int
  let inner: Int
  let vocabulary: Int
  let longestSequence = 1 << 16
  let dropoutProbability: Float
  let initial: [Float]
  /// The numbers of sequences of all passes, and whether they were kept.
  let calls = Mutex<[(count: Int, keeps: Bool)]>([])

  init(vocabulary: Int, inner: Int, dimension: Int, dropout: Float = 0, initial: (Int) -> [Float]) {
    var layout = ParameterLayout()
    layout.add("embedding.weight", [vocabulary, inner], .table)
    layout.add("layer.0.weight", [dimension, inner], .matrix, depth: 1)
    layout.add("layer.0.bias", [dimension], .bias, depth: 1)
    self.layout = layout
    (self.vocabulary, self.inner, self.dimension, dropoutProbability) = (vocabulary, inner, dimension, dropout)
    self.initial = initial(layout.count)
  }

  private final class Pass: TrainingPass {
    let sequences: [TokenSequence]
    let means: [[Float]]
    let masks: [[Float]]

    init(_ sequences: [TokenSequence], _ means: [[Float]], _ masks: [[Float]]) {
      (self.sequences, self.means, self.masks) = (sequences, means, masks)
    }
  }

  func load(into values: FloatArray) throws(EncoderError) {
    for entry in layout.entries {
      for place in entry.range { values.values[place] = initial[place] }
    }
  }

  func keptBytes(lengths: [Int]) -> Int { 4 * lengths.count * inner }

  private func mask(_ dropout: Dropout?, _ index: Int) -> [Float] {
    guard let dropout, dropoutProbability > 0 else { return [Float](repeating: 1, count: inner) }
    return (0..<inner).map { column in
      var z = dropout.seed ^ dropout.serials[index] &* 0x9e37_79b9_7f4a_7c15 &+ UInt64(column) &* 0xd134_2543_de82_ef95
      z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
      z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
      return Float(z >> 40) * 0x1p-24 < dropoutProbability ? 0 : 1 / (1 - dropoutProbability)
    }
  }

  func forward(
    _ sequences: [TokenSequence], _ values: FloatArray, dropout: Dropout?, keeps: Bool, _ team: Team?
  ) throws(EncodingFailure) -> (rows: Matrix, pass: TrainingPass?) {
    calls.withLock { $0.append((sequences.count, keeps)) }
    let masks = sequences.indices.map { mask(dropout, $0) }
    let means = sequences.enumerated().map { index, sequence in
      (0..<inner).map { column in
        sequence.ids.reduce(Float(0)) { $0 + values.values[Int($1) * inner + column] } * masks[index][column]
          / Float(sequence.count)
      }
    }
    let (weight, bias) = (layout.entries[1], layout.entries[2])
    let rows = Matrix(rows: sequences.count, columns: dimension) { out in
      for (index, mean) in means.enumerated() {
        for output in 0..<dimension {
          var sum = values.values[bias.start + output]
          for column in 0..<inner { sum += values.values[weight.start + output * inner + column] * mean[column] }
          out[index * dimension + output] = sum
        }
      }
    }
    return (rows, keeps ? Pass(sequences, means, masks) : nil)
  }

  func backward(
    _ pass: TrainingPass, rows: Matrix, _ values: FloatArray, from depth: Int, into gradients: FloatArray, _ team: Team?
  ) throws(EncodingFailure) {
    guard let pass = pass as? Pass else { return }
    let (weight, bias) = (layout.entries[1], layout.entries[2])
    for (index, sequence) in pass.sequences.enumerated() {
      let derivative = Array(rows.row(index))
      for output in 0..<dimension {
        gradients.values[bias.start + output] += derivative[output]
        for column in 0..<inner {
          gradients.values[weight.start + output * inner + column] += derivative[output] * pass.means[index][column]
        }
      }
      guard depth == 0 else { continue }
      for column in 0..<inner {
        var sum: Float = 0
        for output in 0..<dimension {
          sum += derivative[output] * values.values[weight.start + output * inner + column]
        }
        sum *= pass.masks[index][column] / Float(sequence.count)
        for id in sequence.ids { gradients.values[Int(id) * inner + column] += sum }
      }
    }
  }
}
