import COneDNN

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
    guard weights.count == inputs * outputs, bias.count == outputs else {
      throw EncoderError(key: "model.safetensors", message: "a layer's weights do not have its shape")
    }
    var message = [CChar](repeating: 0, count: 256)
    guard
      let layer = nf_linear_create(
        Int64(inputs), Int64(outputs), weights, bias, activation, &message, message.count)
    else {
      let bytes = message.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
      throw EncoderError(key: "oneDNN", message: String(decoding: bytes, as: UTF8.self))
    }
    self.inputs = inputs
    self.outputs = outputs
    self.layer = layer
  }

  deinit { nf_linear_destroy(layer) }

  /// Rows that `x` and `y` must have room for when `rows` of them are meant.
  static func paddedRows(_ rows: Int) -> Int { Int(nf_linear_padded_rows(Int64(rows))) }

  /// y = activation(x·Wᵀ + b); `x` is [rows, inputs], `y` [rows, outputs], both padded to ``paddedRows(_:)``.
  func apply(_ x: UnsafePointer<Float>, rows: Int, into y: UnsafeMutablePointer<Float>) throws(EncodingFailure) {
    guard nf_linear_apply(layer, x, Int64(rows), y) == 0 else { throw .productFailed }
  }
}

extension EncoderConfiguration.Activation {
  var shim: nf_activation {
    switch self {
    case .gelu: NF_GELU_ERF
    case .geluNew, .geluTanh: NF_GELU_TANH
    case .relu: NF_RELU
    }
  }
}
