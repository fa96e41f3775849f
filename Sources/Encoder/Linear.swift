import COneDNN
import SimilarityCore

/// A dense layer y = activation(x·Wᵀ + b), whose weights are repacked for this processor.
// SAFETY: the layer never changes after it is created, and the library can run it on several threads at once, because
// the shim gives each thread its own scratchpad.
final class Linear: @unchecked Sendable {
  let inputs: Int
  let outputs: Int
  private let layer: OpaquePointer

  /// Repacks the weights; the arguments are not kept.
  ///
  /// - Parameters:
  ///   - weights: [outputs, inputs], row-major.
  ///   - bias: [outputs].
  /// - Throws: ``EncoderError`` when the matrix library fails or there is not enough memory.
  init(
    inputs: Int, outputs: Int, weights: [Float], bias: [Float], activation: nf_activation = NF_IDENTITY
  ) throws(EncoderError) {
    precondition(weights.count == inputs * outputs, "the weights are not [\(outputs), \(inputs)]")
    precondition(bias.count == outputs, "the bias is not [\(outputs)]")
    var layer: OpaquePointer?
    let status = nf_linear_create(Int64(inputs), Int64(outputs), weights, bias, activation, &layer)
    guard status == NF_SUCCESS, let layer else { throw EncoderError(ProductFailure(status: status)) }
    self.inputs = inputs
    self.outputs = outputs
    self.layer = layer
  }

  deinit { nf_linear_destroy(layer) }

  /// The number of rows that `x` and `y` must have room for in ``apply(_:rows:into:)``.
  static func paddedRows(_ rows: Int) -> Int { Int(nf_linear_padded_rows(Int64(rows))) }

  /// y = activation(x·Wᵀ + b).
  ///
  /// - Parameters:
  ///   - x: [rows, inputs]; the rows up to ``paddedRows(_:)`` are read as well, and must be initialised.
  ///   - y: [rows, outputs]; the rows up to ``paddedRows(_:)`` are written as well.
  /// - Throws: ``EncodingFailure`` when the matrix library fails or there is not enough memory.
  func apply(_ x: UnsafePointer<Float>, rows: Int, into y: UnsafeMutablePointer<Float>) throws(EncodingFailure) {
    let status = nf_linear_apply(layer, x, Int64(rows), y)
    guard status == NF_SUCCESS else { throw EncodingFailure(ProductFailure(status: status)) }
  }
}
