import COneDNN
import SimilarityCore

/// A dense layer y = activation(x·Wᵀ + b) with weights repacked for this processor.
// SAFETY: the layer is immutable after creation, and the library runs one primitive on several threads at once when each
// brings its own scratchpad, which the shim does.
final class Linear: @unchecked Sendable {
  let inputs: Int
  let outputs: Int
  private let layer: OpaquePointer

  /// - Parameters: `weights` is [outputs, inputs] row-major, `bias` [outputs]; neither is kept.
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

  /// Rows that `x` and `y` of a product of `rows` rows must have room for.
  static func paddedRows(_ rows: Int) -> Int { Int(nf_linear_padded_rows(Int64(rows))) }

  /// y = activation(x·Wᵀ + b); `x` is [rows, inputs], `y` [rows, outputs], both padded to ``paddedRows(_:)``.
  func apply(_ x: UnsafePointer<Float>, rows: Int, into y: UnsafeMutablePointer<Float>) throws(EncodingFailure) {
    let status = nf_linear_apply(layer, x, Int64(rows), y)
    guard status == NF_SUCCESS else { throw EncodingFailure(ProductFailure(status: status)) }
  }
}
