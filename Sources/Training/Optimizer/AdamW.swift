import Encoder
import Platform
import SimilarityCore

/// AdamW: Adam (Kingma and Ba 2015, arXiv 1412.6980) with decoupled weight decay (Loshchilov and Hutter 2019, arXiv
/// 1711.05101), and with clipping of the gradients by their global norm (Pascanu et al. 2013, arXiv 1211.5063, section 3.2).
/// Operations and their order are those of torch.optim.AdamW and torch.nn.utils.clip_grad_norm_.
///
/// Results are the same for any number of threads: sums are taken over pieces of a fixed size, in their order.
package final class AdamW {
  package struct Options: Sendable, Equatable {
    package var beta1 = 0.9
    package var beta2 = 0.999
    package var epsilon = 1e-8
    /// The share of a weight that a step with the rate 1 takes away. Norms and biases do not decay.
    package var weightDecay = 0.01
    /// The largest norm of all gradients together; nil where they are not clipped.
    package var largestNorm: Double? = 1
    package var rates = LearningRates()

    package init() {}
  }

  /// Consecutive values of one array that have the same factor and the same decay.
  private struct Piece {
    let array: Int
    let range: Range<Int>
    let factor: Double
    let decays: Bool
  }

  /// Values of a piece, so that one thread's work is long beside what it takes to hand it over.
  private static let pieceSize = 1 << 15
  /// The square of the largest norm at which the squares of single values are far from overflowing f32.
  private static let largestSquare = 1e36

  package let options: Options
  private let kernels = Kernels.active
  private let arrays: [TrainedArray]
  private let first: [FloatArray]
  private let second: [FloatArray]
  private let pieces: [Piece]
  /// The number of steps that were taken, which the correction of the moments' bias depends on. A checkpoint has it beside
  /// ``state``.
  package var steps = 0

  /// - Throws: ``EncodingFailure/outOfMemory``.
  package init(_ arrays: [TrainedArray], _ options: Options = Options()) throws(EncodingFailure) {
    self.options = options
    self.arrays = arrays
    var (first, second): ([FloatArray], [FloatArray]) = ([], [])
    var pieces: [Piece] = []
    for (index, array) in arrays.enumerated() {
      first.append(try FloatArray(array.layout.count))
      second.append(try FloatArray(array.layout.count))
      for entry in array.layout.entries {
        let factor = options.rates.factor(of: entry, in: array.layout)
        guard factor > 0 else { continue }
        for start in stride(from: entry.range.lowerBound, to: entry.range.upperBound, by: Self.pieceSize) {
          let range = start..<min(entry.range.upperBound, start + Self.pieceSize)
          pieces.append(Piece(array: index, range: range, factor: factor, decays: entry.role.decays))
        }
      }
    }
    (self.first, self.second, self.pieces) = (first, second, pieces)
  }

  /// What a checkpoint keeps beside the parameters: the moments of each array, under names made of the array's.
  package var state: [(name: String, array: FloatArray)] {
    arrays.indices.flatMap { index in
      [("\(arrays[index].name).first", first[index]), ("\(arrays[index].name).second", second[index])]
    }
  }

  /// Changes the parameters by their gradients, which stay as they are.
  ///
  /// - Parameters:
  ///   - step: the number of the step, for errors.
  ///   - loss: checked to be finite; a loss that is not would have changed the parameters into nonsense.
  ///   - rate: the learning rate of the deepest tensors.
  /// - Returns: the norm of all gradients before clipping.
  /// - Throws: ``TrainingFailure`` where the loss or a gradient is not finite. Nothing has been changed then.
  @discardableResult package func step(
    _ step: Int, loss: Double, rate: Double, _ team: Team? = nil
  ) throws(TrainingFailure) -> Double {
    guard loss.isFinite else { throw .notFinite(step: step, what: "the loss") }
    let square = sumOfSquares(team)
    guard square.isFinite else { throw .notFinite(step: step, what: nameOfFault()) }
    let norm = square.squareRoot()
    // PyTorch computes the norm and the factor in f32, which differs by less than what is compared.
    let scale = options.largestNorm.map { min(1, $0 / (norm + 1e-6)) } ?? 1
    guard square * scale * scale <= Self.largestSquare else { throw .tooLarge(step: step) }
    steps += 1
    update(rate: rate, scale: Float(scale), team)
    return norm
  }

  /// The sum of the squares of all gradients that are trained. It is finite exactly if all of them are: the square of the
  /// largest f32 is far from the largest f64.
  private func sumOfSquares(_ team: Team?) -> Double {
    var sums = [Double](repeating: 0, count: pieces.count)
    sums.withUnsafeMutableBufferPointer { sums in
      // SAFETY: each piece has a place of its own.
      nonisolated(unsafe) let sums = sums
      forEachPiece(team) { index, piece in
        sums[index] = self.kernels.sumOfSquares(
          self.arrays[piece.array].gradients.start + piece.range.lowerBound, count: piece.range.count)
      }
    }
    return sums.reduce(0, +)
  }

  private func update(rate: Double, scale: Float, _ team: Team?) {
    let correction1 = 1 - pow(options.beta1, Double(steps))
    let correction2 = 1 - pow(options.beta2, Double(steps))
    forEachPiece(team) { _, piece in
      let start = piece.range.lowerBound
      self.kernels.adamW(
        values: self.arrays[piece.array].values.start + start,
        gradients: self.arrays[piece.array].gradients.start + start, first: self.first[piece.array].start + start,
        second: self.second[piece.array].start + start, count: piece.range.count, rate: rate * piece.factor,
        beta1: self.options.beta1, beta2: self.options.beta2, epsilon: self.options.epsilon,
        decay: piece.decays ? self.options.weightDecay : 0, correction1: correction1, correction2: correction2,
        scale: scale)
    }
  }

  private func forEachPiece(_ team: Team?, _ body: @escaping (Int, Piece) -> Void) {
    let pieces = pieces
    guard let team else {
      for (index, piece) in pieces.enumerated() { body(index, piece) }
      return
    }
    // A team takes a limited number of pieces at once.
    let most = 1 << 16
    for start in stride(from: 0, to: pieces.count, by: most) {
      team.forEachPiece(min(most, pieces.count - start)) { index, _ in body(start + index, pieces[start + index]) }
    }
  }

  /// The first tensor with a gradient that is not finite.
  private func nameOfFault() -> String {
    for array in arrays {
      for entry in array.layout.entries where options.rates.factor(of: entry, in: array.layout) > 0 {
        if !kernels.isFinite(array.gradients.start + entry.start, count: entry.count) {
          return "the gradient of \(entry.name)"
        }
      }
    }
    return "a gradient"
  }
}

extension ParameterLayout.Role {
  /// Whether weight decay applies: neither to norms nor to biases, whose size does not make a function more complicated.
  fileprivate var decays: Bool {
    switch self {
    case .matrix, .table: true
    case .norm, .bias: false
    }
  }
}
