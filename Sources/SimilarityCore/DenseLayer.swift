import CKernels
import Platform

/// How the two sides of an encoder's products are stored.
public enum Precision: String, Sendable, CaseIterable {
  case f32
  /// Weights and activations are rounded to bf16, the upper half of an f32; sums are in f32.
  case bf16
  /// Weights are quantised to 8 bits per output and activations per row, symmetrically; sums are exact.
  case int8

  var shim: nf_precision {
    switch self {
    case .f32: NF_F32
    case .bf16: NF_BF16
    case .int8: NF_INT8
    }
  }
}

/// What a dense layer does with its sums.
public enum Activation: Sendable {
  case identity
  /// x·Φ(x), where Φ is the distribution function of the standard normal distribution (arXiv 1606.08415).
  case gelu
  /// The approximation of it by tanh.
  case geluTanh
  case relu
  /// x·σ(x) (arXiv 1702.03118).
  case silu

  /// - Parameter precision: what results are rounded to, which allows a faster approximation.
  func shim(_ precision: Precision = .f32) -> nf_activation {
    switch self {
    case .identity: NF_IDENTITY
    case .gelu: precision == .f32 ? NF_GELU_ERF : NF_GELU_ROUNDED
    case .geluTanh: NF_GELU_TANH
    case .relu: NF_RELU
    case .silu: NF_SILU
    }
  }
}

/// There is not enough memory.
public struct OutOfMemory: Error, Sendable, Equatable {
  public init() {}
}

/// A dense layer y = activation(x·Wᵀ + b), whose weights are packed for one variant of the kernels.
///
/// The result of a row depends on that row alone: it has the same bytes whatever rows stand beside it.
// SAFETY: the layer and its memory never change after it is created.
public final class DenseLayer: @unchecked Sendable {
  public let inputs: Int
  public let outputs: Int
  public let precision: Precision
  /// Of the packed weights.
  public var bytes: Int { packed.bytes }
  private let kernels: Kernels
  private let packed: AlignedMemory
  private let layer: nf_dense

  /// Packs the weights; the arguments are not kept.
  ///
  /// - Parameters:
  ///   - weights: [outputs, inputs], row-major.
  ///   - bias: [outputs].
  /// - Throws: ``OutOfMemory``.
  public init(
    inputs: Int, outputs: Int, weights: [Float], bias: [Float], activation: Activation = .identity,
    precision: Precision, kernels: Kernels
  ) throws(OutOfMemory) {
    precondition(weights.count == inputs * outputs, "the weights are not [\(outputs), \(inputs)]")
    precondition(bias.count == outputs, "the bias is not [\(outputs)]")
    packed = try AlignedMemory(bytes: kernels.table.pointee.dense_bytes(precision.shim, inputs, outputs))
    let scratch = try AlignedMemory(bytes: 4 * Kernels.operandScratch(inputs: inputs))
    kernels.table.pointee.dense_pack(
      precision.shim, weights, bias, inputs, outputs, scratch.floats, packed.start)
    layer = nf_dense(
      precision: precision.shim, activation: activation.shim(precision), inputs: inputs, outputs: outputs,
      stride: precision == .f32 ? 4 * inputs : kernels.operandStride(inputs: inputs, precision: precision),
      panels: packed.start)
    self.inputs = inputs
    self.outputs = outputs
    self.precision = precision
    self.kernels = kernels
  }

  /// y = activation(x·Wᵀ + b).
  ///
  /// - Parameters:
  ///   - x: `rows` rows of ``inputs`` values: f32 where that is the layer's precision, and otherwise as
  ///     ``Kernels/prepare(_:rows:inputs:precision:scratch:into:)`` makes them.
  ///   - stride: the bytes from one row of `x` to the next, where rows of f32 do not follow one another.
  ///   - y: [rows, outputs].
  ///   - team: shares the outputs, which does not change a bit of them.
  public func apply(
    _ x: UnsafeRawPointer, rows: Int, stride: Int? = nil, into y: UnsafeMutablePointer<Float>, _ team: Team? = nil
  ) {
    var layer = layer
    if let stride { layer.stride = stride }
    withUnsafePointer(to: layer) { layer in
      Team.forEachPart(of: kernels.table.pointee.dense_panels(outputs), team) { [kernels] panels, _ in
        kernels.table.pointee.dense_rows(layer, x, rows, panels.lowerBound, panels.count, y)
      }
    }
  }
}

extension Kernels {
  /// The bytes from one row to the next on the left side of a product.
  public func operandStride(inputs: Int, precision: Precision) -> Int {
    table.pointee.operand_stride(precision.shim, inputs)
  }

  /// The floats of scratch memory that ``prepare(_:rows:inputs:precision:scratch:into:)`` needs.
  public static func operandScratch(inputs: Int) -> Int { nf_operand_scratch(inputs) }

  /// Rounds or quantises rows for the left side of a product; in f32 they are copied.
  ///
  /// - Parameters:
  ///   - x: [rows, inputs].
  ///   - scratch: ``operandScratch(inputs:)`` floats.
  ///   - out: `rows` times ``operandStride(inputs:precision:)`` bytes.
  public func prepare(
    _ x: UnsafePointer<Float>, rows: Int, inputs: Int, precision: Precision, scratch: UnsafeMutablePointer<Float>,
    into out: UnsafeMutableRawPointer
  ) {
    table.pointee.operand_rows(precision.shim, x, rows, inputs, scratch, out)
  }

  /// values[i] becomes activation(values[i]).
  ///
  /// - Parameter precision: what results are rounded to afterwards. Below f32, GELU's error is up to 5e-5.
  public func activate(
    _ values: UnsafeMutableBufferPointer<Float>, _ activation: Activation, precision: Precision = .f32
  ) {
    guard let first = values.baseAddress else { return }
    table.pointee.activate(first, values.count, activation.shim(precision))
  }
}
