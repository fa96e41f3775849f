import JSON
import Safetensors
import SimilarityCore

/// The forward pass of BERT (Devlin et al. 2018, arXiv 1810.04805) over sequences one after another, without padding.
///
/// Every step works on rows or on one sequence, never across sequences, so that the vector of a text has the same bytes
/// alone and in any batch. All layers but attention run on one tile of rows at a time, so that activations stay in
/// cache.
final class BERT: Architecture {
  private let configuration: BERTConfiguration
  private let weights: BERTWeights
  private let precision: Precision
  private let kernels: Kernels
  private let threads: Int
  private let workspaces: WorkspacePool

  init(
    _ configuration: BERTConfiguration, _ archive: SafetensorsArchive, _ precision: Precision, _ kernels: Kernels,
    threads: Int
  ) throws(EncoderError) {
    self.configuration = configuration
    self.precision = precision
    self.kernels = kernels
    self.threads = threads
    weights = try BERTWeights(archive, configuration, precision, kernels)
    let widest = max(configuration.hiddenSize, configuration.intermediateSize)
    workspaces = WorkspacePool(
      Workspace.Sizes(
        hidden: configuration.hiddenSize, intermediate: configuration.intermediateSize,
        attention: Kernels.attentionScratch(length: configuration.maxPositions, headWidth: configuration.headWidth),
        operand: Workspace.rowsPerTile * kernels.operandStride(inputs: widest, precision: precision),
        workers: threads))
  }

  var hiddenSize: Int { configuration.hiddenSize }
  var vocabularySize: Int { configuration.vocabularySize }
  var longestSequence: Int { configuration.maxPositions }

  func forward(
    _ sequences: [[Int32]], _ team: Team?, _ read: (UnsafePointer<Float>) -> Matrix
  ) throws(EncodingFailure) -> Matrix {
    let tokens = sequences.reduce(0) { $0 + $1.count }
    return try workspaces.with(tokens: tokens) { workspace throws(EncodingFailure) in
      // There is scratch memory for so many threads.
      run(sequences, tokens, workspace, (team?.workers ?? 1) <= threads ? team : nil)
      return read(workspace.hidden)
    }
  }

  /// Runs all layers; the last hidden states are left in `workspace.hidden`, [tokens, hidden].
  private func run(_ sequences: [[Int32]], _ tokens: Int, _ workspace: Workspace, _ team: Team?) {
    let width = configuration.hiddenSize
    embed(sequences, workspace)
    for layer in weights.layers {
      forEachTile(tokens) { first, rows in
        apply(
          layer.queryKeyValue, workspace.hidden + first * width, rows, workspace, team,
          into: workspace.queryKeyValue + first * 3 * width)
      }
      attend(sequences, workspace, team)
      forEachTile(tokens) { first, rows in
        let hidden = workspace.hidden + first * width
        apply(
          layer.attentionOutput, workspace.context + first * width, rows, workspace, team, into: workspace.projected)
        normalize(workspace.projected, rows: rows, residual: hidden, layer.attentionNorm)
        apply(layer.intermediate, hidden, rows, workspace, team, into: workspace.intermediate)
        apply(layer.output, workspace.intermediate, rows, workspace, team, into: workspace.projected)
        normalize(workspace.projected, rows: rows, residual: hidden, layer.outputNorm)
      }
    }
  }

  private func forEachTile(_ tokens: Int, _ body: (_ first: Int, _ rows: Int) -> Void) {
    for first in stride(from: 0, to: tokens, by: Workspace.rowsPerTile) {
      body(first, min(Workspace.rowsPerTile, tokens - first))
    }
  }

  /// out = layer(x) for at most ``Workspace/rowsPerTile`` rows.
  private func apply(
    _ layer: DenseLayer, _ x: UnsafePointer<Float>, _ rows: Int, _ workspace: Workspace, _ team: Team?,
    into out: UnsafeMutablePointer<Float>
  ) {
    guard precision != .f32 else { return layer.apply(x, rows: rows, into: out, team) }
    let stride = kernels.operandStride(inputs: layer.inputs, precision: precision)
    Team.forEachPart(of: rows, team) { [kernels, precision] part, worker in
      kernels.prepare(
        x + part.lowerBound * layer.inputs, rows: part.count, inputs: layer.inputs, precision: precision,
        scratch: workspace.scratch(of: worker), into: workspace.operand + part.lowerBound * stride)
    }
    layer.apply(workspace.operand, rows: rows, into: out, team)
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

  /// context = Attention(queries, keys, values), for each sequence.
  private func attend(_ sequences: [[Int32]], _ workspace: Workspace, _ team: Team?) {
    let (width, heads, headWidth) = (configuration.hiddenSize, configuration.attentionHeads, configuration.headWidth)
    let scale = 1 / Float(headWidth).squareRoot()
    var start = 0
    for sequence in sequences {
      let (qkv, out) = (workspace.queryKeyValue + start * 3 * width, workspace.context + start * width)
      Team.forEachPart(of: heads, team) { [kernels] part, worker in
        kernels.attention(
          qkv, length: sequence.count, heads: heads, part: part, headWidth: headWidth, scale: scale,
          scratch: workspace.scratch(of: worker), into: out)
      }
      start += sequence.count
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
