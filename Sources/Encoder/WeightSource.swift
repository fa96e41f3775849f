import Safetensors
import SimilarityCore

/// The tensors of a checkpoint by name, checked against the shapes that the configuration requires.
struct WeightSource {
  private let checkpoint: Checkpoint
  /// The prefix of all names: checkpoints of task models keep the encoder below the name of its family.
  private let prefix: String
  private let precision: Precision
  private let kernels: Kernels

  init(_ checkpoint: Checkpoint, prefix: String, precision: Precision, kernels: Kernels) {
    self.checkpoint = checkpoint
    self.prefix = prefix
    self.precision = precision
    self.kernels = kernels
  }

  /// The values of the tensor `name` as f32.
  ///
  /// - Parameter shape: the shape that it must have; nil stands for any size.
  /// - Throws: ``EncoderError`` naming the tensor when it is missing or has another shape or type.
  func floats(_ name: String, _ shape: [Int?]) throws(EncoderError) -> [Float] {
    let tensor = try tensor(name, shape)
    do {
      return try tensor.floats()
    } catch {
      throw EncoderError(error, tensor: prefix + name)
    }
  }

  /// The tensor `name` in place, whose shape is checked in the same way.
  func tensor(_ name: String, _ shape: [Int?]) throws(EncoderError) -> TensorView {
    let key = "model.safetensors: \(prefix)\(name)"
    guard let tensor = checkpoint.tensor(prefix + name) else { throw .folder(key: key, message: "is missing") }
    guard tensor.shape.count == shape.count, zip(tensor.shape, shape).allSatisfy({ $1 == nil || $0 == $1 }) else {
      let expected = shape.map { $0.map { "\($0)" } ?? "any" }.joined(separator: ", ")
      throw .folder(key: key, message: "has shape \(tensor.shape), expected [\(expected)]")
    }
    return tensor
  }

  /// The gain of the norm `name`, of `width` values, and its bias, which is zero where the norm has none.
  func norm(_ name: String, _ width: Int, _ kind: TransformerDescription.Norm) throws(EncoderError) -> NormWeights {
    // Checkpoints that were converted from TensorFlow keep its names.
    let old = checkpoint.tensor("\(prefix)\(name).gamma") != nil
    var gamma = try floats("\(name).\(old ? "gamma" : "weight")", [width])
    var beta = [Float](repeating: 0, count: width)
    switch kind {
    case .layer(hasBias: true): beta = try floats("\(name).\(old ? "beta" : "bias")", [width])
    case .layer(hasBias: false): break
    case .rms(let offset): for index in gamma.indices { gamma[index] += offset }
    }
    return NormWeights(gamma: gamma, beta: beta)
  }

  /// One dense layer with the rows of the tensors `names`, which have `outputs` rows each.
  func dense(
    _ names: [String], _ inputs: Int, _ outputs: [Int], hasBias: Bool, activation: Activation = .identity
  ) throws(EncoderError) -> DenseLayer {
    let total = outputs.reduce(0, +)
    var weights: [Float] = []
    var bias: [Float] = []
    for (name, outputs) in zip(names, outputs) {
      weights += try floats("\(name).weight", [outputs, inputs])
      if hasBias { bias += try floats("\(name).bias", [outputs]) }
    }
    if !hasBias { bias = [Float](repeating: 0, count: total) }
    return try dense(inputs, total, weights: weights, bias: bias, activation: activation)
  }

  /// A dense layer, packed for the kernels and the precision of this source.
  func dense(
    _ inputs: Int, _ outputs: Int, weights: [Float], bias: [Float], activation: Activation = .identity
  ) throws(EncoderError) -> DenseLayer {
    do throws(OutOfMemory) {
      return try DenseLayer(
        inputs: inputs, outputs: outputs, weights: weights, bias: bias, activation: activation, precision: precision,
        kernels: kernels)
    } catch {
      throw .outOfMemory
    }
  }
}

/// The gain and the bias of a norm; an RMSNorm has no bias.
struct NormWeights: Sendable {
  let gamma: [Float]
  let beta: [Float]
}

/// The vectors of the vocabulary: the largest table of a small encoder, of which a batch touches a few rows.
// SAFETY: `rows` points into `view` or `converted`, which are constant and live as long as the table.
final class WordTable: @unchecked Sendable {
  private let view: TensorView
  /// The rows as f32 where the file holds another type or is not aligned, or where they are scaled; nil where the file
  /// is used in place.
  private let converted: UnsafeMutableBufferPointer<Float>?
  private let rows: UnsafePointer<Float>
  private let width: Int

  /// - Parameters:
  ///   - name: the tensor, [vocabulary, width].
  ///   - scale: what its values are multiplied by.
  /// - Throws: ``EncoderError`` naming the table when it is missing or has another shape or type.
  init(
    _ source: WeightSource, _ name: String, vocabulary: Int, width: Int, scale: Float = 1
  ) throws(EncoderError) {
    view = try source.tensor(name, [vocabulary, width])
    self.width = width
    // An aligned f32 tensor is read in place.
    if view.dtype == .f32, scale == 1, let base = view.bytes.baseAddress, Int(bitPattern: base).isMultiple(of: 4) {
      converted = nil
      rows = base.assumingMemoryBound(to: Float.self)
      return
    }
    var values = try source.floats(name, [vocabulary, width])
    if scale != 1 { for index in values.indices { values[index] *= scale } }
    let copy = UnsafeMutableBufferPointer<Float>.allocate(capacity: max(1, values.count))
    _ = copy.initialize(from: values)
    converted = copy
    guard let base = copy.baseAddress else { throw .folder(key: "model.safetensors: \(name)", message: "is empty") }
    rows = UnsafePointer(base)
  }

  deinit { converted?.deallocate() }

  /// The vector of token `id`, which must be in the vocabulary.
  func row(_ id: Int32) -> UnsafePointer<Float> { rows + Int(id) * width }
}
