import COneDNN
import JSON
import Safetensors
import SimilarityCore

/// The forward pass of BERT (Devlin et al. 2018, arXiv 1810.04805) over sequences one after another, without padding.
///
/// Every step works on rows or on one sequence, never across sequences, so that the vector of a text has the same bytes
/// alone and in any batch.
final class BERT: Architecture {
  private let configuration: BERTConfiguration
  private let weights: BERTWeights
  private let kernels: Kernels
  private let workspaces: WorkspacePool

  init(_ configuration: BERTConfiguration, _ archive: SafetensorsArchive, _ kernels: Kernels) throws(EncoderError) {
    self.configuration = configuration
    self.kernels = kernels
    weights = try BERTWeights(archive, configuration)
    let attention = Kernels.attentionScratch(length: configuration.maxPositions, headWidth: configuration.headWidth)
    workspaces = WorkspacePool(
      Workspace.Sizes(
        hidden: configuration.hiddenSize, intermediate: configuration.intermediateSize, attention: attention))
  }

  var hiddenSize: Int { configuration.hiddenSize }
  var vocabularySize: Int { configuration.vocabularySize }
  var longestSequence: Int { configuration.maxPositions }

  func forward(
    _ sequences: [[Int32]], _ read: (UnsafePointer<Float>) -> Matrix
  ) throws(EncodingFailure) -> Matrix {
    let tokens = sequences.reduce(0) { $0 + $1.count }
    return try workspaces.with(tokens: tokens) { workspace throws(EncodingFailure) in
      try run(sequences, tokens, workspace)
      return read(workspace.hidden)
    }
  }

  /// Runs all layers; the last hidden states are left in `workspace.hidden`, [tokens, hidden].
  private func run(_ sequences: [[Int32]], _ tokens: Int, _ workspace: Workspace) throws(EncodingFailure) {
    embed(sequences, workspace)
    for layer in weights.layers {
      try attend(sequences, tokens, layer, workspace)
      try feedForward(tokens, layer, workspace)
    }
  }

  /// hidden = LayerNorm(word + type + position).
  private func embed(_ sequences: [[Int32]], _ workspace: Workspace) {
    let width = configuration.hiddenSize
    weights.positions.withUnsafeBufferPointer { positions in
      withNorm(weights.embeddingNorm) { gamma, beta in
        guard let first = positions.baseAddress else { return }
        var target = workspace.hidden
        for sequence in sequences {
          for (position, id) in sequence.enumerated() {
            // SAFETY: the caller has checked ids and lengths against the sizes of the tables.
            kernels.layerNorm(
              weights.words.row(id), residual: first + position * width, gamma: gamma, beta: beta,
              epsilon: configuration.layerNormEpsilon, rows: 1, into: target)
            target += width
          }
        }
      }
    }
  }

  /// hidden = LayerNorm(hidden + W·Attention(hidden)).
  private func attend(
    _ sequences: [[Int32]], _ tokens: Int, _ layer: BERTLayer, _ workspace: Workspace
  ) throws(EncodingFailure) {
    let width = configuration.hiddenSize
    try layer.queryKeyValue.apply(workspace.hidden, rows: tokens, into: workspace.queryKeyValue)
    let scale = 1 / Float(configuration.headWidth).squareRoot()
    var start = 0
    for sequence in sequences {
      kernels.attention(
        workspace.queryKeyValue + start * 3 * width, length: sequence.count, heads: configuration.attentionHeads,
        headWidth: configuration.headWidth, scale: scale, scratch: workspace.attention,
        into: workspace.context + start * width)
      start += sequence.count
    }
    try layer.attentionOutput.apply(workspace.context, rows: tokens, into: workspace.projected)
    normalize(workspace.projected, rows: tokens, residual: workspace.hidden, layer.attentionNorm)
  }

  /// hidden = LayerNorm(hidden + W₂·activation(W₁·hidden)), one tile of rows at a time, so that activations stay in
  /// cache.
  private func feedForward(_ tokens: Int, _ layer: BERTLayer, _ workspace: Workspace) throws(EncodingFailure) {
    let width = configuration.hiddenSize
    for start in stride(from: 0, to: tokens, by: Workspace.rowsPerTile) {
      let rows = min(Workspace.rowsPerTile, tokens - start)
      let hidden = workspace.hidden + start * width
      let projected = workspace.projected + start * width
      try layer.intermediate.apply(hidden, rows: rows, into: workspace.intermediate)
      try layer.output.apply(workspace.intermediate, rows: rows, into: projected)
      normalize(projected, rows: rows, residual: hidden, layer.outputNorm)
    }
  }

  /// residual = LayerNorm(x + residual).
  private func normalize(
    _ x: UnsafeMutablePointer<Float>, rows: Int, residual: UnsafeMutablePointer<Float>, _ norm: NormWeights
  ) {
    withNorm(norm) { gamma, beta in
      kernels.layerNorm(
        x, residual: residual, gamma: gamma, beta: beta, epsilon: configuration.layerNormEpsilon, rows: rows,
        into: residual)
    }
  }

  private func withNorm(
    _ norm: NormWeights, _ body: (UnsafeBufferPointer<Float>, UnsafeBufferPointer<Float>) -> Void
  ) {
    norm.gamma.withUnsafeBufferPointer { gamma in
      norm.beta.withUnsafeBufferPointer { beta in body(gamma, beta) }
    }
  }
}
