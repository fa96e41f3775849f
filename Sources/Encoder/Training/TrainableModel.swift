import SimilarityCore

/// A text encoder with its pooling whose parameters can be trained: a forward pass that remembers what the backward pass
/// needs, and the backward pass. The values of the parameters are passed in, so that a slowly following copy of a model (MoCo,
/// BYOL) is another array and not another model.
///
/// All results are the same for any number of threads.
package protocol TrainableModel: AnyObject, Sendable {
  var layout: ParameterLayout { get }
  /// The number of values of a row.
  var dimension: Int { get }
  /// The most tokens of a sequence.
  var longestSequence: Int { get }

  /// Copies the checkpoint's values into `values`, which has the size of the layout.
  ///
  /// - Throws: ``EncoderError`` naming the tensor that cannot be read.
  func load(into values: FloatArray) throws(EncoderError)

  /// About how many bytes a pass over sequences of these lengths keeps for the backward pass.
  func keptBytes(lengths: [Int]) -> Int

  /// Embeds sequences.
  ///
  /// - Parameters:
  ///   - sequences: as ``Architecture/forward(_:_:_:)`` takes them, at least one.
  ///   - dropout: nil for a pass without dropout.
  ///   - keeps: whether a backward pass will follow.
  /// - Returns: a row for each sequence, [sequences, dimension], behind the modules but the last Normalize; and what the
  ///   backward pass needs, nil unless `keeps`.
  func forward(
    _ sequences: [TokenSequence], _ values: FloatArray, dropout: Dropout?, keeps: Bool, _ team: Team?
  ) throws(EncodingFailure) -> (rows: Matrix, pass: TrainingPass?)

  /// Adds the derivatives of a loss to `gradients`.
  ///
  /// - Parameters:
  ///   - pass: of ``forward(_:_:dropout:keeps:_:)``, with the same values, used once.
  ///   - rows: the derivatives by each row, [sequences, dimension].
  ///   - from: parameters of a smaller depth get no gradient, and the pass ends there.
  func backward(
    _ pass: TrainingPass, rows: Matrix, _ values: FloatArray, from depth: Int, into gradients: FloatArray, _ team: Team?
  ) throws(EncodingFailure)
}

/// What a forward pass keeps for the backward pass. Each model has its own.
package protocol TrainingPass: AnyObject {}

/// Which values dropout sets to zero (Srivastava et al. 2014), by a generator that is a function of a counter: the second
/// forward pass of gradient caching sees the mask of the first, whatever stands beside a text.
package struct Dropout: Sendable {
  package var seed: UInt64
  /// A number for each sequence of the pass, which no other sequence of the training has.
  package var serials: [UInt64]

  package init(seed: UInt64, serials: [UInt64]) {
    self.seed = seed
    self.serials = serials
  }
}
