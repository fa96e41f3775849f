import JSON
import Platform
import SimilarityCore
import Tokenization

/// A step that a pooled vector goes through (the modules behind Pooling in `modules.json`).
enum VectorModule: Sendable {
  case dense(DenseModule)
  /// Division by the Euclidean norm; a vector of zeros stays as it is.
  case normalize

  /// The number of values of a vector behind this step.
  func outputs(of inputs: Int) -> Int {
    switch self {
    case .dense(let module): module.layer.outputs
    case .normalize: inputs
    }
  }

  /// What it does, for the fingerprint.
  var description: String {
    switch self {
    case .dense(let module): module.description
    case .normalize: "normalize"
    }
  }

  /// The weights that it has.
  var checkpoint: Checkpoint? {
    guard case .dense(let module) = self else { return nil }
    return module.checkpoint
  }

  func applied(to rows: Matrix) -> Matrix {
    switch self {
    case .dense(let module): return module.applied(to: rows)
    case .normalize: return rows.unitRows()
    }
  }
}

/// A Dense module: y = activation(x·Wᵀ + b). It is always computed in f32, since it is small beside the transformer.
struct DenseModule: Sendable {
  enum Activation: String, CaseIterable {
    case identity = "Identity"
    case gelu = "GELU"
    case relu = "ReLU"
    case sigmoid = "Sigmoid"
    case silu = "SiLU"
    case tanh = "Tanh"
  }

  /// What the module's `config.json` states.
  struct Shape: Sendable {
    let inputs: Int
    let outputs: Int
    let hasBias: Bool
    let activation: Activation
  }

  let layer: DenseLayer
  let checkpoint: Checkpoint
  private let activation: Activation

  var description: String { "dense \(layer.outputs) \(activation.rawValue)" }

  /// Reads the module of a folder: `config.json`, and `linear.weight` and `linear.bias` in `model.safetensors`.
  ///
  /// - Parameter path: where the module is in the folder, such as `2_Dense`.
  /// - Throws: ``EncoderError`` naming the file and the key.
  init(_ folder: ModelFolder, _ path: String, inputs: Int, _ kernels: Kernels) throws(EncoderError) {
    let shape = try Self.shape(folder, path, inputs: inputs)
    activation = shape.activation
    do throws(EncoderError) {
      checkpoint = try Checkpoint(ModelFolder(path: "\(folder.path)/\(path)"))
      let source = WeightSource(checkpoint, prefix: "", precision: .f32, kernels: kernels)
      layer = try source.dense(
        ["linear"], inputs, [shape.outputs], hasBias: shape.hasBias, activation: activation.kernel ?? .identity)
    } catch {
      throw error.within(path)
    }
  }

  /// Reads the `config.json` of the module at `path`.
  static func shape(_ folder: ModelFolder, _ path: String, inputs: Int) throws(EncoderError) -> Shape {
    do throws(FieldError) {
      let file = try folder.requiredJSON("\(path)/config.json")
      let stated = try file.size("in_features")
      guard stated == inputs else {
        throw file.refused("in_features", "is \(stated), but the module before it gives \(inputs) values")
      }
      try file.refuseFlag("use_residual")
      for key in ["module_input_name", "module_output_name"] {
        _ = try file.optional(key)?.string(oneOf: ["sentence_embedding"])
      }
      return Shape(
        inputs: inputs, outputs: try file.size("out_features"), hasBias: try file.flag("bias", default: true),
        activation: try activation(file))
    } catch {
      throw EncoderError(error)
    }
  }

  /// `activation_function`, the path of a class of PyTorch, such as `torch.nn.modules.activation.Tanh`.
  private static func activation(_ file: JSONField) throws(FieldError) -> Activation {
    guard let field = file.optional("activation_function") else { return .tanh }
    let name = try field.string().split(separator: ".").last.map(String.init) ?? ""
    guard let activation = Activation(rawValue: name) else {
      throw field.refused(
        "\"\(name)\" is not supported; supported: \(Activation.allCases.map(\.rawValue).joined(separator: ", "))")
    }
    return activation
  }

  func applied(to rows: Matrix) -> Matrix {
    Matrix(rows: rows.rows, columns: layer.outputs) { out in
      rows.values.withUnsafeBufferPointer { values in
        // SAFETY: there are as many values on both sides as rows of the layer's widths.
        guard let x = values.baseAddress, let y = out.baseAddress, rows.rows > 0 else { return }
        layer.apply(x, rows: rows.rows, into: y)
      }
      guard activation.kernel == nil else { return }
      for index in out.indices { out[index] = activation.value(out[index]) }
    }
  }
}

extension DenseModule.Activation {
  /// The activation that a layer or the innermost loops compute; nil for the others.
  var kernel: Activation? {
    switch self {
    case .identity: .identity
    case .gelu: .gelu
    case .relu: .relu
    case .silu: .silu
    case .sigmoid, .tanh: nil
    }
  }

  /// What `sigmoid` and `tanh`, which have no kernel, make of a sum.
  func value(_ sum: Float) -> Float { self == .tanh ? hyperbolicTangent(sum) : 1 / (1 + exp(-sum)) }
}

/// Within the enumeration, its case would hide the function.
private func hyperbolicTangent(_ x: Float) -> Float { tanh(x) }
