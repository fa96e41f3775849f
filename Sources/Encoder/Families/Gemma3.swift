import JSON

/// The text model of Gemma 3 (arXiv 2503.19786), the shape of EmbeddingGemma: norms on both sides of each block, whose
/// gains the file states less 1, norms of queries and keys, windows in most layers, and a gate.
extension TransformerDescription {
  static func gemma3(_ file: JSONField) throws(FieldError) -> Self {
    for key in ["final_logit_softcapping", "attn_logit_softcapping"] {
      if let field = file.optional(key) { throw field.refused("is not supported; supported: null") }
    }
    let hidden = try file.size("hidden_size")
    let heads = try file.size("num_attention_heads")
    let keyHeads = try file.keyHeads(heads: heads)
    let isCausal = !(try file.flag("use_bidirectional_attention"))
    // A causal window includes the token itself. Otherwise it reaches half as far to either side.
    let stated = try file.size("sliding_window", default: 4096)
    let window = isCausal ? stated - 1 : stated / 2
    let all = try file.rotary(kind: "full_attention", base: "rope_theta", default: 1_000_000)
    let near = try nearRotary(file)
    let period = try file.size("sliding_window_pattern", default: try file.size("_sliding_window_pattern", default: 6))
    var layers: [Layer] = []
    for isNear in try file.windowed(layers: try file.size("num_hidden_layers"), period: period, first: 1) {
      layers.append(
        Layer(
          rotary: isNear ? near : all, before: isNear ? window : nil, after: isCausal ? 0 : isNear ? window : nil))
    }
    let hasBias = try file.flag("attention_bias")
    let scalar = try file.number("query_pre_attn_scalar", default: 256)
    guard scalar > 0, scalar.isFinite else { throw file.refused("query_pre_attn_scalar", "must be above 0") }
    return Self(
      vocabularySize: try file.size("vocab_size"), hiddenSize: hidden,
      intermediateSize: try file.size("intermediate_size"), heads: heads, keyHeads: keyHeads,
      headWidth: try file.size("head_dim", default: 256),
      longestSequence: try file.size("max_position_embeddings"), embeddingScale: Float(hidden).squareRoot(),
      norm: .rms(gainOffset: 1), normEpsilon: Float(try file.number("rms_norm_eps", default: 1e-6)),
      placement: .around, layers: layers, statedScale: Float(1 / scalar.squareRoot()), normalizesHeads: true,
      activation: try file.activation("hidden_activation", default: "gelu_pytorch_tanh"), isGated: true,
      biases: Biases(
        queryKeyValue: hasBias, attentionOutput: hasBias, feedForwardInput: false, feedForwardOutput: false),
      dropout: DropoutRates(attention: try file.dropoutRate("attention_dropout", default: 0)),
      names: [
        WeightNames(
          prefixes: ["", "model.", "language_model.model."], words: "embed_tokens", finalNorm: "norm",
          layer: "layers.", queryKeyValue: ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
          headNorms: ["self_attn.q_norm", "self_attn.k_norm"], attentionOutput: "self_attn.o_proj",
          attentionNorms: ["input_layernorm", "post_attention_layernorm"],
          feedForwardInput: ["mlp.gate_proj", "mlp.up_proj"], feedForwardOutput: "mlp.down_proj",
          feedForwardNorms: ["pre_feedforward_layernorm", "post_feedforward_layernorm"])
      ])
  }

  /// The layers with a window have a base of their own, and are not scaled in older files.
  private static func nearRotary(_ file: JSONField) throws(FieldError) -> Rotary {
    guard file.optional("rope_parameters") == nil else {
      return try file.rotary(kind: "sliding_attention", base: "rope_local_base_freq", default: 10_000)
    }
    let base = try file.number("rope_local_base_freq", default: 10_000)
    guard base > 1, base.isFinite else { throw file.refused("rope_local_base_freq", "must be a number above 1") }
    return Rotary(base: base)
  }
}
