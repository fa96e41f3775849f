import JSON
import SimilarityCore

/// What families read from `config.json` in the same way.
extension JSONField {
  /// A size. The bound ensures that no product of two sizes overflows.
  func size(_ key: String) throws(FieldError) -> Int { try required(key).integer(in: 1...1 << 24) }

  /// A size that has a default.
  func size(_ key: String, default value: Int) throws(FieldError) -> Int {
    try optional(key)?.integer(in: 1...1 << 24) ?? value
  }

  func number(_ key: String, default value: Double) throws(FieldError) -> Double {
    guard let field = optional(key) else { return value }
    return try field.number()
  }

  /// The probability of a value to be set to zero in training.
  func dropoutRate(_ key: String, default value: Double) throws(FieldError) -> Float {
    let rate = try number(key, default: value)
    guard (0..<1).contains(rate) else { throw refused(key, "must be at least 0 and below 1") }
    return Float(rate)
  }

  /// The probabilities of BERT, which many families share.
  func bertDropout(default value: Double = 0.1) throws(FieldError) -> TransformerDescription.DropoutRates {
    let hidden = try dropoutRate("hidden_dropout_prob", default: value)
    return TransformerDescription.DropoutRates(
      embedding: hidden, attention: try dropoutRate("attention_probs_dropout_prob", default: value),
      attentionOutput: hidden, output: hidden)
  }

  func flag(_ key: String, default value: Bool = false) throws(FieldError) -> Bool {
    try optional(key)?.bool() ?? value
  }

  /// Rejects a flag that is on.
  func refuseFlag(_ key: String) throws(FieldError) {
    if try flag(key) { throw refused(key, "'true' is not supported; supported: false") }
  }

  /// Rejects a number that is other than `value`.
  func require(_ key: String, _ value: Double) throws(FieldError) {
    if let field = optional(key), try field.number() != value { throw field.refused("must be \(value)") }
  }

  /// The activation of the feed-forward blocks.
  func activation(_ key: String, default name: String = "gelu") throws(FieldError) -> Activation {
    let names: [String: Activation] = [
      "gelu": .gelu, "gelu_new": .geluTanh, "gelu_pytorch_tanh": .geluTanh, "gelu_fast": .geluTanh, "relu": .relu,
      "silu": .silu, "swish": .silu, "swiglu": .silu, "geglu": .gelu,
    ]
    let name = try optional(key)?.string(oneOf: names.keys.sorted()) ?? name
    return names[name] ?? .gelu
  }

  /// The width of a head where it is the hidden size over the number of heads.
  func headWidth(_ hidden: Int, heads: Int, key: String = "num_attention_heads") throws(FieldError) -> Int {
    guard hidden.isMultiple(of: heads) else { throw refused(key, "does not divide the hidden size \(hidden)") }
    return hidden / heads
  }

  /// The heads of the keys, each of which as many heads of the queries share.
  func keyHeads(heads: Int) throws(FieldError) -> Int {
    let keyHeads = try size("num_key_value_heads", default: heads)
    guard heads.isMultiple(of: keyHeads) else {
      throw refused("num_key_value_heads", "does not divide num_attention_heads")
    }
    return keyHeads
  }

  /// Rotary positions for layers of the kind `kind`: `rope_parameters` of newer files, or else `base` and
  /// `rope_scaling` of older ones.
  ///
  /// - Parameter kind: the key below `rope_parameters` where kinds of layers differ.
  func rotary(kind: String? = nil, base key: String, default base: Double) throws(FieldError)
    -> TransformerDescription.Rotary
  {
    var parameters = optional("rope_parameters")
    if let kind, let own = parameters?.optional(kind) { parameters = own }
    let section = parameters ?? optional("rope_scaling")
    var rotary = TransformerDescription.Rotary(base: base)
    if let stated = optional(key) { rotary.base = try stated.number() }
    if let section, section.value.members != nil {
      if let stated = section.optional("rope_theta") { rotary.base = try stated.number() }
      let type = section.optional("rope_type") ?? section.optional("type")
      if try type?.string(oneOf: ["default", "linear"]) == "linear" {
        rotary.factor = try section.required("factor").number()
        guard rotary.factor >= 1 else { throw section.refused("factor", "must be at least 1") }
      }
    }
    guard rotary.base > 1, rotary.base.isFinite, rotary.factor.isFinite else {
      throw refused(key, "must be a number above 1")
    }
    return rotary
  }

  /// Whether each layer has a window: `layer_types`, or else every layer but each `period`-th.
  func windowed(layers: Int, period: Int, first: Int) throws(FieldError) -> [Bool] {
    guard let types = optional("layer_types") else { return (0..<layers).map { ($0 + first) % period != 0 } }
    let elements = try types.elements()
    guard elements.count == layers else { throw types.refused("must have one entry for each layer, \(layers)") }
    var windowed: [Bool] = []
    for element in elements {
      windowed.append(try element.string(oneOf: ["full_attention", "sliding_attention"]) == "sliding_attention")
    }
    return windowed
  }
}
