import JSON
import SimilarityCore
import Tokenization

/// A text encoder from a folder in the Hugging Face layout: a tokenizer, an architecture with its weights, a pooling
/// that turns the hidden states of a text's tokens into one vector, and modules that this vector goes through.
public struct SentenceEncoder: BatchEncoder {
  /// How the hidden states of a text become one vector; the results of several stand one after another.
  public let poolings: [Pooling]
  /// Whether the last module is Normalize: the model is then meant to give vectors of length 1. ``encode(_:)`` does not
  /// normalise.
  public let normalizes: Bool
  /// Whether the tokens of a prompt are pooled.
  public let poolsPrompt: Bool
  /// How vectors are meant to be compared; nil where the folder does not say.
  public let similarity: Similarity?
  public let dimension: Int
  /// Bytes of the files of weights, as they are in the folder.
  public let weightBytes: Int
  public let fingerprint: String
  /// The last part of the folder's path.
  public let name: String
  public let prompts: Prompts
  private let model: LoadedModel
  /// The number of tokens of each of ``prompts``, with the special ones before it; empty where they are pooled.
  private let promptTokens: [String: Int]
  /// The modules behind the pooling, without the last where ``normalizes``.
  private let modules: [VectorModule]
  private let kernels: Kernels

  public var tokenizer: Tokenizer { model.tokenizer }
  /// Whether token vectors come from a transformer, and not from a table alone.
  public var hasTransformer: Bool { !model.architecture.givesSums }
  /// The ids of the special tokens before and after a text. An encoder without a transformer takes none, whatever its
  /// tokenizer would put there, as in Sentence Transformers.
  public var framing: (before: [Int32], after: [Int32]) { hasTransformer ? tokenizer.framing : ([], []) }
  /// The most tokens of a sequence, including the special ones.
  public var maxSequenceLength: Int { model.maxSequenceLength }
  /// The precision of the products, why it was chosen, and how near its vectors come to those of f32.
  public var precision: PrecisionChoice { model.precision }
  public var batchTokens: Int { model.batchTokens }

  /// Loads the encoder from a folder, as ``init(folder:_:)`` does.
  public init(
    folder path: String, precision: WantedPrecision = .f32, kernels: Kernels = .active, threads: Int = 1
  ) throws(EncoderError) {
    var options = LoadingOptions()
    (options.precision, options.kernels, options.threads) = (precision, kernels, threads)
    try self.init(folder: path, options)
  }

  /// Loads the encoder from a folder.
  ///
  /// - Throws: ``EncoderError``, which names the file and the key that is missing, malformed or not supported.
  public init(folder path: String, _ options: LoadingOptions) throws(EncoderError) {
    let folder = ModelFolder(path: path)
    let settings: SentenceModules
    do throws(FieldError) {
      settings = try SentenceModules(folder)
    } catch {
      throw EncoderError(error)
    }
    let (poolings, kernels) = (settings.poolings, options.kernels)
    switch settings.first {
    case .table(let folder): model = try LoadedModel(table: folder, options)
    case .transformer(let folder):
      model = try LoadedModel(transformer: folder, longest: settings.maxSequenceLength, options) {
        sequences, states, width in
        poolings.rows(of: sequences, states, width: width, kernels)
      }
    }
    try settings.check(model.tokenizer)
    var modules: [VectorModule] = []
    var width = model.architecture.hiddenSize * poolings.count
    for module in settings.later {
      switch module {
      case .normalize: modules.append(.normalize)
      case .dense(let path): modules.append(.dense(try DenseModule(folder, path, inputs: width, kernels)))
      }
      width = modules[modules.count - 1].outputs(of: width)
    }
    dimension = width
    if case .normalize? = modules.last {
      normalizes = true
      modules.removeLast()
    } else {
      normalizes = false
    }
    var stated = "\(Pooling.name(of: poolings)) \(normalizes) \(model.maxSequenceLength)"
    if !modules.isEmpty || !settings.poolsPrompt {
      stated += " \(modules.map(\.description)) \(settings.poolsPrompt)"
    }
    let others = modules.compactMap(\.checkpoint)
    fingerprint = try model.fingerprint(settings: stated, others)
    weightBytes = others.reduce(model.checkpoint.byteCount) { $0 + $1.byteCount }
    name = path.split(separator: "/").last.map(String.init) ?? path
    prompts = settings.prompts
    poolsPrompt = settings.poolsPrompt
    var promptTokens: [String: Int] = [:]
    for prompt in prompts.byName.values where !poolsPrompt { promptTokens[prompt] = model.tokens(ofPrompt: prompt) }
    self.promptTokens = promptTokens
    similarity = settings.similarity
    self.poolings = poolings
    self.modules = modules
    self.kernels = kernels
    // All pages were read for the fingerprint. Most weights have been repacked since, and of the word vectors few are
    // used.
    model.checkpoint.releasePages()
  }

  /// Creates an encoder with another architecture, and with the tokenizer, prompts and pooling of `other`.
  package init(_ architecture: any Architecture, named name: String, fingerprint: String, like other: SentenceEncoder) {
    precondition(architecture.vocabularySize >= other.tokenizer.vocabularySize, "the vocabulary is too small")
    precondition(architecture.longestSequence >= 2, "there is no room for text")
    model = other.model.replacing(architecture)
    self.name = name
    self.fingerprint = fingerprint
    poolings = other.poolings
    normalizes = other.normalizes
    poolsPrompt = other.poolsPrompt
    promptTokens = other.promptTokens
    weightBytes = other.weightBytes
    similarity = other.similarity
    prompts = other.prompts
    modules = []
    dimension = architecture.hiddenSize * other.poolings.count
    kernels = other.kernels
  }

  /// The number of tokens that a prompt has before a text, with the special ones before it. They are counted in the
  /// prompt alone, as Sentence Transformers does, and for the model's own prompts only once.
  func tokens(ofPrompt prompt: String) -> Int { promptTokens[prompt] ?? model.tokens(ofPrompt: prompt) }

  /// The number of tokens of each sequence.
  public func costs(of sequences: [TokenSequence]) -> [Int] { sequences.map { max(1, $0.count) } }

  /// The vectors of token sequences, as in ``BatchEncoder/encode(_:_:)``, behind all modules but the last Normalize.
  /// Batches of a few hundred tokens are best.
  public func encode(_ sequences: [TokenSequence], _ crew: Crew?) throws(EncodingFailure) -> Matrix {
    let architecture = model.architecture
    return try model.run(sequences, crew) { states in
      let pooled = poolings.rows(
        of: sequences, states, width: architecture.hiddenSize, kernels, count: architecture.states)
      return modules.reduce(pooled) { rows, module in module.applied(to: rows) }
    }
  }

  /// The vectors of sequences of ids, all of type 0.
  public func encode(_ sequences: [[Int32]], _ crew: Crew? = nil) throws(EncodingFailure) -> Matrix {
    try encode(sequences.map { TokenSequence($0) }, crew)
  }
}
