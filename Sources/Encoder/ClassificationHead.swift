import JSON
import Platform
import SimilarityCore
import Tokenization

/// What makes a number for each label of the hidden states of a sequence, in the models that transformers calls
/// `…ForSequenceClassification`. It is always computed in f32.
struct ClassificationHead: Sendable {
  /// How families name the parts of their heads.
  private struct Shape {
    var dense: String
    var denseHasBias = true
    var activation = Nonlinearity.tanh
    /// The LayerNorm behind the activation.
    var norm: String?
    var output: String
    var poolsMean = false
  }

  private enum Nonlinearity: Sendable {
    case tanh
    case fused(Activation)
  }

  /// The names of the labels, in the order of the values.
  let labels: [String]
  private let pooling: Pooling
  private let dense: DenseLayer
  private let activation: Nonlinearity
  private let norm: NormWeights?
  private let epsilon: Float
  private let output: DenseLayer
  private let kernels: Kernels

  /// - Parameters:
  ///   - file: `config.json`.
  ///   - width: of the hidden states.
  /// - Throws: ``EncoderError`` naming what is missing, malformed or not supported.
  init(_ file: JSONField, _ checkpoint: Checkpoint, width: Int, _ kernels: Kernels) throws(EncoderError) {
    let shape: Shape
    let stated: [String]?
    let normHasBias: Bool
    do throws(FieldError) {
      shape = try Self.shape(file)
      stated = try Self.labels(file)
      epsilon = Float(try file.number("norm_eps", default: 1e-5))
      normHasBias = try file.flag("norm_bias")
    } catch {
      throw EncoderError(error)
    }
    let source = WeightSource(checkpoint, prefix: "", precision: .f32, kernels: kernels)
    let count = try source.tensor("\(shape.output).weight", [nil, width]).shape[0]
    guard count > 0, stated == nil || stated?.count == count else {
      throw .folder(
        key: "config.json: id2label", message: "has \(stated?.count ?? 0) labels, but the model gives \(count) values")
    }
    var fused = Activation.identity
    if case .fused(let activation) = shape.activation { fused = activation }
    dense = try source.dense([shape.dense], width, [width], hasBias: shape.denseHasBias, activation: fused)
    norm = try shape.norm.map { name throws(EncoderError) in
      try source.norm(name, width, .layer(hasBias: normHasBias))
    }
    output = try source.dense([shape.output], width, [count], hasBias: true)
    labels = stated ?? (0..<count).map { "LABEL_\($0)" }
    pooling = shape.poolsMean ? .mean : .cls
    activation = shape.activation
    self.kernels = kernels
  }

  private static func shape(_ file: JSONField) throws(FieldError) -> Shape {
    let suffix = "ForSequenceClassification"
    let names = try file.optional("architectures")?.elements().compactMap(\.value.string) ?? []
    guard names.contains(where: { $0.hasSuffix(suffix) }) else {
      throw file.refused("architectures", "names no model whose name ends in \(suffix), as rerankers do")
    }
    let family = try file.required("model_type").value.string.flatMap(Family.init)
    switch family {
    case .bert: return Shape(dense: "bert.pooler.dense", output: "classifier")
    case .roberta, .xlmRoberta, .camembert, .mpnet:
      return Shape(dense: "classifier.dense", output: "classifier.out_proj")
    case .distilbert:
      return Shape(dense: "pre_classifier", activation: .fused(.relu), output: "classifier")
    case .modernBERT:
      let pooling = try file.optional("classifier_pooling")?.string(oneOf: ["cls", "mean"]) ?? "cls"
      return Shape(
        dense: "head.dense", denseHasBias: try file.flag("classifier_bias"),
        activation: .fused(try file.activation("classifier_activation")), norm: "head.norm", output: "classifier",
        poolsMean: pooling == "mean")
    case .nomicBERT, .qwen3, .gemma3, nil:
      throw file.refused(
        "model_type",
        "rerankers of this family are not supported; supported: bert, camembert, distilbert, modernbert, mpnet, "
          + "roberta, xlm-roberta")
    }
  }

  /// `id2label`, whose keys are the numbers of the values.
  private static func labels(_ file: JSONField) throws(FieldError) -> [String]? {
    guard let field = file.optional("id2label") else { return nil }
    let members = try field.members()
    var labels = [String?](repeating: nil, count: members.count)
    for (key, label) in members {
      guard let number = Int(key), labels.indices.contains(number), labels[number] == nil else {
        throw label.refused("its key must be a number below \(members.count)")
      }
      labels[number] = try label.string()
    }
    return labels.compactMap { $0 }
  }

  /// The values of each label, [sequences, labels], without a softmax or a sigmoid.
  ///
  /// - Parameter states: the hidden states of all sequences one after another.
  func logits(_ sequences: [TokenSequence], _ states: UnsafePointer<Float>) -> Matrix {
    let pooled = [pooling].rows(of: sequences, states, width: dense.inputs, kernels)
    let inner = apply(dense, to: pooled) { values in
      if case .tanh = activation { for index in values.indices { values[index] = tanh(values[index]) } }
      guard let norm, let start = values.baseAddress else { return }
      norm.gamma.withUnsafeBufferPointer { gamma in
        norm.beta.withUnsafeBufferPointer { beta in
          kernels.layerNorm(
            start, residual: nil, gamma: gamma, beta: beta, epsilon: epsilon, rows: sequences.count, into: start)
        }
      }
    }
    return apply(output, to: inner)
  }

  private func apply(
    _ layer: DenseLayer, to rows: Matrix, then change: (UnsafeMutableBufferPointer<Float>) -> Void = { _ in }
  ) -> Matrix {
    Matrix(rows: rows.rows, columns: layer.outputs) { out in
      rows.values.withUnsafeBufferPointer { values in
        // SAFETY: there are as many values on both sides as rows of the layer's widths.
        guard rows.rows > 0, let x = values.baseAddress, let y = out.baseAddress else { return }
        layer.apply(x, rows: rows.rows, into: y)
      }
      change(out)
    }
  }
}
