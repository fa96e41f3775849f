import COneDNN
import Safetensors

/// Tensors of a checkpoint by name, checked against the shape that the configuration promises.
struct WeightSource {
  private let archive: SafetensorsArchive
  /// Checkpoints of task models carry the encoder below `bert.`.
  private let prefix: String

  init(_ archive: SafetensorsArchive) {
    self.archive = archive
    prefix = archive.tensor("bert.embeddings.word_embeddings.weight") == nil ? "" : "bert."
  }

  /// The values of `name`, whose shape must be `shape`; nil stands for any size.
  func floats(_ name: String, _ shape: [Int?]) throws(EncoderError) -> [Float] {
    do {
      return try tensor(name, shape).floats()
    } catch let error as SafetensorsError {
      throw EncoderError(key: "model.safetensors: \(prefix)\(name)", message: error.message)
    } catch let error as EncoderError {
      throw error
    } catch {
      throw EncoderError(key: "model.safetensors: \(prefix)\(name)", message: "cannot be read")
    }
  }

  /// The tensor `name` in place, checked likewise.
  func tensor(_ name: String, _ shape: [Int?]) throws(EncoderError) -> TensorView {
    let key = "model.safetensors: \(prefix)\(name)"
    guard let tensor = archive.tensor(prefix + name) else { throw EncoderError(key: key, message: "is missing") }
    guard tensor.shape.count == shape.count, zip(tensor.shape, shape).allSatisfy({ $1 == nil || $0 == $1 }) else {
      let expected = shape.map { $0.map { "\($0)" } ?? "any" }.joined(separator: ", ")
      throw EncoderError(key: key, message: "has shape \(tensor.shape), expected [\(expected)]")
    }
    return tensor
  }

  func norm(_ name: String, _ width: Int) throws(EncoderError) -> NormWeights {
    // Checkpoints converted from TensorFlow keep its names.
    let old = archive.tensor("\(prefix)\(name).gamma") != nil
    return NormWeights(
      gamma: try floats("\(name).\(old ? "gamma" : "weight")", [width]),
      beta: try floats("\(name).\(old ? "beta" : "bias")", [width]))
  }

  func linear(
    _ name: String, _ inputs: Int, _ outputs: Int, activation: nf_activation = NF_IDENTITY
  ) throws(EncoderError) -> Linear {
    try Linear(
      inputs: inputs, outputs: outputs, weights: try floats("\(name).weight", [outputs, inputs]),
      bias: try floats("\(name).bias", [outputs]), activation: activation)
  }
}
