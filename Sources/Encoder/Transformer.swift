import SimilarityCore

/// The forward pass of a transformer encoder (Vaswani et al. 2017, arXiv 1706.03762) over sequences one after another,
/// without padding. Its ``TransformerDescription`` says which norms, positions, heads and gates it has.
///
/// Every step works on rows or on one sequence, never across sequences, so that the vector of a text has the same bytes
/// alone and in any batch. All layers but attention run on one tile of rows at a time, so that activations stay in
/// cache.
final class Transformer: Architecture {
  private let description: TransformerDescription
  private let weights: TransformerWeights
  /// The attention of each layer.
  private let attentions: [Attention]
  private let rotaries: [TransformerDescription.Rotary: RotaryTable]
  private let precision: Precision
  private let kernels: Kernels
  private let threads: Int
  /// The number of rows that go through a layer together.
  private let rowsPerTile: Int
  private let workspaces: WorkspacePool

  init(
    _ description: TransformerDescription, _ checkpoint: Checkpoint, _ precision: Precision, _ kernels: Kernels,
    threads: Int
  ) throws(EncoderError) {
    let weights = try TransformerWeights(checkpoint, description, precision, kernels)
    self.description = description
    self.weights = weights
    self.precision = precision
    self.kernels = kernels
    self.threads = threads
    attentions = description.layers.map { layer in
      Attention(
        heads: description.heads, keyHeads: description.keyHeads, headWidth: description.headWidth,
        scale: description.attentionScale, before: layer.before, after: layer.after, bias: weights.relativeBias,
        precision: precision)
    }
    var rotaries: [TransformerDescription.Rotary: RotaryTable] = [:]
    for rotary in description.layers.compactMap(\.rotary) where rotaries[rotary] == nil {
      rotaries[rotary] = RotaryTable(
        rotary, headWidth: description.headWidth, positions: description.longestSequence)
    }
    self.rotaries = rotaries
    let (queries, keys) = (description.heads * description.headWidth, description.keyHeads * description.headWidth)
    let inner = description.intermediateSize
    let widths = [description.hiddenSize, inner, queries]
    let rowsPerTile = Self.rowsPerTile(weightBytes: weights.layers.first?.bytes ?? 0)
    self.rowsPerTile = rowsPerTile
    workspaces = WorkspacePool(
      Workspace.Sizes(
        hidden: description.hiddenSize, queryKeyValue: queries + 2 * keys, context: queries,
        inner: description.isGated ? 2 * inner : inner, gated: description.isGated ? inner : 0,
        attention: Attention.scratch(length: description.longestSequence, headWidth: description.headWidth),
        rowsPerTile: rowsPerTile,
        operand: widths.reduce(0) { max($0, kernels.operandStride(inputs: $1, precision: precision)) },
        operandRow: widths.reduce(0) { max($0, Kernels.operandScratch(inputs: $1)) }, workers: threads))
  }

  /// The rows that go through a layer together, whole blocks of every kernel. The activations of a few stay in the
  /// second-level cache; but a layer whose weights do not stay in the third-level cache is read from memory for each tile,
  /// and then more rows have to share that.
  private static func rowsPerTile(weightBytes: Int) -> Int { weightBytes <= 4 << 20 ? 48 : 192 }

  var hiddenSize: Int { description.hiddenSize }
  var vocabularySize: Int { description.vocabularySize }
  var longestSequence: Int { description.longestSequence }

  var tokenTypes: Int { weights.typeDifferences.map { $0.count / description.hiddenSize + 1 } ?? 1 }

  func forward(
    _ sequences: [TokenSequence], _ team: Team?, _ read: (UnsafePointer<Float>) -> Matrix
  ) throws(EncodingFailure) -> Matrix {
    let tokens = sequences.reduce(0) { $0 + $1.count }
    return try workspaces.with(tokens: tokens) { workspace throws(EncodingFailure) in
      // There is scratch memory for so many threads.
      let team = (team?.workers ?? 1) <= threads ? team : nil
      embed(sequences, workspace)
      for index in weights.layers.indices { run(index, sequences, tokens, workspace, team) }
      if let norm = weights.finalNorm { normalize(workspace.hidden, rows: tokens, norm, into: workspace.hidden) }
      return read(workspace.hidden)
    }
  }

  /// hidden = norm(word + type + position).
  private func embed(_ sequences: [TokenSequence], _ workspace: Workspace) {
    let width = description.hiddenSize
    let step = description.learnedPositions == nil ? 0 : width
    (weights.positions ?? []).withUnsafeBufferPointer { positions in
      // An empty array may have an address, too.
      let first = positions.isEmpty ? nil : positions.baseAddress
      var target = workspace.hidden
      for sequence in sequences {
        for (position, id) in sequence.ids.enumerated() {
          // SAFETY: the caller has checked ids, types and lengths against the sizes of the tables.
          var word = weights.words.row(id)
          if !sequence.types.isEmpty, sequence.types[position] > 0, tokenTypes > 1 {
            target.update(from: word, count: width)
            add(type: sequence.types[position], to: target)
            word = UnsafePointer(target)
          }
          let added = first.map { $0 + position * step }
          if let norm = weights.embeddingNorm {
            normalize(word, plus: added, rows: 1, norm, into: target)
          } else {
            if word != UnsafePointer(target) { target.update(from: word, count: width) }
            if let added { kernels.add(added, count: width, to: target) }
          }
          target += width
        }
      }
    }
  }

  /// Adds what a token type other than 0 has beyond type 0, which the positions contain.
  private func add(type: Int32, to target: UnsafeMutablePointer<Float>) {
    let width = description.hiddenSize
    weights.typeDifferences?.withUnsafeBufferPointer { differences in
      guard let first = differences.baseAddress else { return }
      kernels.add(first + (Int(type) - 1) * width, count: width, to: target)
    }
  }

  /// Runs one layer on the hidden states.
  private func run(_ index: Int, _ sequences: [TokenSequence], _ tokens: Int, _ workspace: Workspace, _ team: Team?) {
    let (layer, attention, width) = (weights.layers[index], attentions[index], description.hiddenSize)
    forEachTile(tokens) { first, rows in
      let x = input(workspace.hidden + first * width, rows, layer.attentionNorms, workspace)
      apply(
        layer.queryKeyValue, x, rows, workspace, team,
        into: workspace.queryKeyValue + first * layer.queryKeyValue.outputs)
    }
    attend(sequences, layer, attention, rotary: description.layers[index].rotary, workspace, team)
    forEachTile(tokens) { first, rows in
      let hidden = workspace.hidden + first * width
      apply(
        layer.attentionOutput, workspace.context + first * attention.queryWidth, rows, workspace, team,
        into: workspace.projected)
      add(workspace.projected, rows, layer.attentionNorms, to: hidden)
      apply(
        layer.feedForwardInput, input(hidden, rows, layer.feedForwardNorms, workspace), rows, workspace, team,
        into: workspace.inner)
      if description.isGated {
        kernels.gate(
          workspace.inner, rows: rows, width: description.intermediateSize, description.activation,
          precision: precision, into: workspace.gated)
      }
      apply(
        layer.feedForwardOutput, description.isGated ? workspace.gated : workspace.inner, rows, workspace, team,
        into: workspace.projected)
      add(workspace.projected, rows, layer.feedForwardNorms, to: hidden)
    }
  }

  private func forEachTile(_ tokens: Int, _ body: (_ first: Int, _ rows: Int) -> Void) {
    for first in stride(from: 0, to: tokens, by: rowsPerTile) {
      body(first, min(rowsPerTile, tokens - first))
    }
  }

  /// What a block takes: the hidden states, behind the norm before the block where there is one.
  private func input(
    _ hidden: UnsafeMutablePointer<Float>, _ rows: Int, _ norms: BlockNorms, _ workspace: Workspace
  ) -> UnsafeMutablePointer<Float> {
    guard let norm = norms.before else { return hidden }
    normalize(hidden, rows: rows, norm, into: workspace.normed)
    return workspace.normed
  }

  /// Adds what a block gave to the hidden states.
  private func add(
    _ projected: UnsafeMutablePointer<Float>, _ rows: Int, _ norms: BlockNorms, to hidden: UnsafeMutablePointer<Float>
  ) {
    if description.placement == .after, let norm = norms.after {
      return normalize(projected, plus: hidden, rows: rows, norm, into: hidden)
    }
    if let norm = norms.after { normalize(projected, rows: rows, norm, into: projected) }
    kernels.add(projected, count: rows * description.hiddenSize, to: hidden)
  }

  /// out = layer(x) for at most ``rowsPerTile`` rows.
  private func apply(
    _ layer: DenseLayer, _ x: UnsafePointer<Float>, _ rows: Int, _ workspace: Workspace, _ team: Team?,
    into out: UnsafeMutablePointer<Float>
  ) {
    let stride = kernels.operandStride(inputs: layer.inputs, precision: precision)
    // Copied where they are too far apart for the cache, which costs less than a hundredth of the product.
    guard precision != .f32 || stride != 4 * layer.inputs else { return layer.apply(x, rows: rows, into: out, team) }
    Team.forEachPart(of: rows, team) { [kernels, precision] part, worker in
      kernels.prepare(
        x + part.lowerBound * layer.inputs, rows: part.count, inputs: layer.inputs, precision: precision,
        scratch: workspace.scratch(of: worker), into: workspace.operand + part.lowerBound * stride)
    }
    layer.apply(workspace.operand, rows: rows, stride: stride, into: out, team)
  }

  /// context = Attention(queries, keys, values), for each sequence.
  private func attend(
    _ sequences: [TokenSequence], _ layer: TransformerLayer, _ attention: Attention,
    rotary: TransformerDescription.Rotary?, _ workspace: Workspace, _ team: Team?
  ) {
    let table = rotary.flatMap { rotaries[$0] }
    var start = 0
    for sequence in sequences {
      let qkv = workspace.queryKeyValue + start * layer.queryKeyValue.outputs
      let out = workspace.context + start * attention.queryWidth
      if table != nil || layer.queryNorm != nil {
        Team.forEachPart(of: sequence.count, team) { part, _ in
          self.prepareHeads(qkv, part, layer, attention, table)
        }
      }
      Team.forEachPart(of: attention.heads, team) { [kernels] part, worker in
        attention.apply(
          qkv, length: sequence.count, part: part, kernels, scratch: workspace.scratch(of: worker), into: out)
      }
      start += sequence.count
    }
  }

  /// Normalises and rotates the queries and keys of the positions `part` of a sequence.
  private func prepareHeads(
    _ qkv: UnsafeMutablePointer<Float>, _ part: Range<Int>, _ layer: TransformerLayer, _ attention: Attention,
    _ table: RotaryTable?
  ) {
    let stride = layer.queryKeyValue.outputs
    let sides = [(0, attention.heads, layer.queryNorm), (attention.queryWidth, attention.keyHeads, layer.keyNorm)]
    for (offset, heads, norm) in sides {
      let first = qkv + part.lowerBound * stride + offset
      if let norm {
        for row in 0..<part.count {
          normalize(first + row * stride, rows: heads, norm, into: first + row * stride)
        }
      }
      guard let table else { continue }
      table.cosines.withUnsafeBufferPointer { cosines in
        table.sines.withUnsafeBufferPointer { sines in
          // SAFETY: the tables have a row for every position of the longest sequence.
          guard let cosine = cosines.baseAddress, let sine = sines.baseAddress else { return }
          kernels.rotatePairs(
            first, rows: part.count, stride: stride, heads: heads, headWidth: attention.headWidth, half: table.half,
            cosines: cosine + part.lowerBound * table.half, sines: sine + part.lowerBound * table.half)
        }
      }
    }
  }

  /// out = norm(x + residual), for `rows` rows as wide as the norm.
  private func normalize(
    _ x: UnsafePointer<Float>, plus residual: UnsafePointer<Float>? = nil, rows: Int, _ norm: NormWeights,
    into out: UnsafeMutablePointer<Float>
  ) {
    let (kind, epsilon) = (description.norm, description.normEpsilon)
    norm.gamma.withUnsafeBufferPointer { gamma in
      norm.beta.withUnsafeBufferPointer { beta in
        switch kind {
        case .layer:
          kernels.layerNorm(
            x, residual: residual, gamma: gamma, beta: beta, epsilon: epsilon, rows: rows, into: out)
        case .rms:
          kernels.rmsNorm(x, gamma: gamma, epsilon: epsilon, rows: rows, into: out)
        }
      }
    }
  }
}
