import SimilarityCore

/// A transformer encoder as a value. Each family makes one from its `config.json` (folder Families), and the forward
/// pass (Transformer.swift) knows nothing else about families. What is not stated here is as in BERT.
struct TransformerDescription: Sendable {
  var vocabularySize: Int
  var hiddenSize: Int
  /// The number of activations between the two layers of a feed-forward block.
  var intermediateSize: Int
  /// The heads of the queries, and those of the keys and values.
  var heads: Int
  var keyHeads: Int
  var headWidth: Int
  /// The most tokens of a sequence.
  var longestSequence: Int

  /// What the vectors of tokens are multiplied by.
  var embeddingScale: Float = 1
  /// The rows of the table of positions; nil where positions are not learned.
  var learnedPositions: Int?
  /// The row of the first position: RoBERTa leaves out those up to the id of its padding.
  var firstPosition = 0
  var hasTokenTypes = false

  var norm = Norm.layer(hasBias: true)
  var normEpsilon: Float
  var placement = NormPlacement.after

  var layers: [Layer]
  /// What products of queries and keys are multiplied by, where that is not 1/√headWidth.
  var statedScale: Float?
  var attentionScale: Float { statedScale ?? 1 / Float(headWidth).squareRoot() }
  /// Whether the queries and keys of each head go through an RMSNorm.
  var normalizesHeads = false
  /// Whether scores have a learned bias by distance (T5's buckets), the same in all layers.
  var hasRelativeBias = false

  var activation = Activation.gelu
  /// Whether a second projection is multiplied with the activations (GLU variants, Shazeer 2020, arXiv 2002.05202).
  var isGated = false
  var biases = Biases()
  /// For training.
  var dropout = DropoutRates()
  /// How checkpoints name the tensors: the first that fits is used.
  var names: [WeightNames]

  enum Norm: Sendable {
    /// LayerNorm (Ba et al. 2016, arXiv 1607.06450).
    case layer(hasBias: Bool)
    /// RMSNorm (Zhang & Sennrich 2019, arXiv 1910.07467). The gain is what the file has plus `gainOffset`.
    case rms(gainOffset: Float)
  }

  /// Where the norms of a block stand.
  enum NormPlacement: Sendable {
    /// x = norm(x + block(x)), and one norm behind the embedding.
    case after
    /// x = x + block(norm(x)), and one norm behind the last layer.
    case before
    /// x = x + norm(block(norm(x))), and one norm behind the last layer.
    case around
  }

  struct Layer: Sendable {
    var rotary: Rotary?
    /// How many tokens before and after it a token sees; nil for all.
    var before: Int?
    var after: Int?
    /// Whether the norm before attention is there: ModernBERT's first layer has none, since the embedding ends in one.
    var normalizesInput = true
  }

  /// Rotary positions (Su et al. 2021, arXiv 2104.09864) over the whole width of a head.
  struct Rotary: Sendable, Hashable {
    var base: Double
    /// What positions are divided by, to reach further than in training (Chen et al. 2023, arXiv 2306.15595).
    var factor: Double = 1
  }

  /// Where training sets values to zero (Srivastava et al. 2014), and with which probability; nil where the family does
  /// not.
  struct DropoutRates: Sendable {
    /// Of the sum of a token's vectors, behind the norm where there is one.
    var embedding: Float?
    /// Of the weights of attention.
    var attention: Float?
    /// Of what the attention block gives.
    var attentionOutput: Float?
    /// Between the two layers of a feed-forward block.
    var inner: Float?
    /// Of what the feed-forward block gives.
    var output: Float?

    /// The same places with another probability.
    func replaced(by rate: Float) -> DropoutRates {
      DropoutRates(
        embedding: embedding.map { _ in rate }, attention: attention.map { _ in rate },
        attentionOutput: attentionOutput.map { _ in rate }, inner: inner.map { _ in rate },
        output: output.map { _ in rate })
    }
  }

  /// Which dense layers have a bias.
  struct Biases: Sendable {
    var queryKeyValue = true
    var attentionOutput = true
    var feedForwardInput = true
    var feedForwardOutput = true
  }
}

/// The names of the tensors of a checkpoint, without `.weight` and `.bias`. Those of a layer come behind
/// `layer` and its number.
struct WeightNames: Sendable {
  /// What stands before all names: checkpoints of tasks keep the encoder below the name of its family.
  var prefixes = [""]
  var words: String
  var positions: String?
  var tokenTypes: String?
  var embeddingNorm: String?
  var relativeBias: String?
  var finalNorm: String?

  var layer: String
  /// One tensor with the rows of all three, or one each for queries, keys and values.
  var queryKeyValue: [String]
  /// The norms of single heads, of the queries and of the keys.
  var headNorms: [String] = []
  var attentionOutput: String
  /// The norm of the attention block, before it or after it, or one for each.
  var attentionNorms: [String]
  /// One tensor, or where there is a gate, that of the activations and then the other one.
  var feedForwardInput: [String]
  var feedForwardOutput: String
  var feedForwardNorms: [String]
}
