import Safetensors
import SimilarityCore

/// The tensors of a checkpoint by name, checked against the shapes that the configuration requires.
struct WeightSource {
  private let archive: SafetensorsArchive
  /// The prefix of all names: checkpoints of task models keep the encoder below the name of its family.
  private let prefix: String
  private let precision: Precision
  private let kernels: Kernels

  init(_ archive: SafetensorsArchive, prefix: String, precision: Precision, kernels: Kernels) {
    self.archive = archive
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
    guard let tensor = archive.tensor(prefix + name) else { throw .folder(key: key, message: "is missing") }
    guard tensor.shape.count == shape.count, zip(tensor.shape, shape).allSatisfy({ $1 == nil || $0 == $1 }) else {
      let expected = shape.map { $0.map { "\($0)" } ?? "any" }.joined(separator: ", ")
      throw .folder(key: key, message: "has shape \(tensor.shape), expected [\(expected)]")
    }
    return tensor
  }

  /// Gain and bias of the LayerNorm `name`, each of `width` values.
  func norm(_ name: String, _ width: Int) throws(EncoderError) -> NormWeights {
    // Checkpoints that were converted from TensorFlow keep its names.
    let old = archive.tensor("\(prefix)\(name).gamma") != nil
    return NormWeights(
      gamma: try floats("\(name).\(old ? "gamma" : "weight")", [width]),
      beta: try floats("\(name).\(old ? "beta" : "bias")", [width]))
  }

  /// The dense layer `name`.
  func dense(
    _ name: String, _ inputs: Int, _ outputs: Int, activation: Activation = .identity
  ) throws(EncoderError) -> DenseLayer {
    try dense(
      inputs, outputs, weights: try floats("\(name).weight", [outputs, inputs]),
      bias: try floats("\(name).bias", [outputs]), activation: activation)
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

/// The gain and the bias of a LayerNorm (Ba et al. 2016, arXiv 1607.06450).
struct NormWeights: Sendable {
  let gamma: [Float]
  let beta: [Float]
}

/// The vectors of the vocabulary: the largest table of a small encoder, of which a batch touches a few rows.
// SAFETY: `rows` points into `view` or `converted`, which are constant and live as long as the table.
final class WordTable: @unchecked Sendable {
  private let view: TensorView
  /// The rows as f32 where the file holds another type or is not aligned; nil where the file is used in place.
  private let converted: UnsafeMutableBufferPointer<Float>?
  private let rows: UnsafePointer<Float>
  private let width: Int

  /// - Throws: ``EncoderError`` naming the table when it is missing or has another shape or type.
  init(_ source: WeightSource, vocabulary: Int, width: Int) throws(EncoderError) {
    let name = "embeddings.word_embeddings.weight"
    view = try source.tensor(name, [vocabulary, width])
    self.width = width
    // An aligned f32 tensor is read in place.
    if view.dtype == .f32, let base = view.bytes.baseAddress, Int(bitPattern: base).isMultiple(of: 4) {
      converted = nil
      rows = base.assumingMemoryBound(to: Float.self)
      return
    }
    let values = try source.floats(name, [vocabulary, width])
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
