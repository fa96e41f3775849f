import JSON
import Platform
import Safetensors
import SimilarityCore
import Tokenization

/// How a model is loaded.
public struct LoadingOptions: Sendable {
  /// With a precision other than f32, the model is loaded in f32 first, to measure the difference.
  public var precision = WantedPrecision.f32
  /// The variant of the innermost loops.
  public var kernels = Kernels.active
  /// The threads of a crew that may share a batch.
  public var threads = 1
  /// The most tokens of a sequence, where the model takes more; nil for as many as it takes.
  public var maxSequenceLength: Int?

  public init() {}
}

/// What encoders and rerankers have in common: a tokenizer, and an architecture in the precision that was chosen.
struct LoadedModel: Sendable {
  let tokenizer: Tokenizer
  let architecture: any Architecture
  let precision: PrecisionChoice
  let batchTokens: Int
  /// The most tokens of a sequence, including the special ones.
  let maxSequenceLength: Int
  /// The folder with the tokenizer and the weights.
  let folder: ModelFolder
  let checkpoint: Checkpoint

  /// Loads a transformer and its tokenizer.
  ///
  /// - Parameters:
  ///   - longest: the most tokens of a sequence; nil for as many as there are positions.
  ///   - pool: makes a vector of each sequence, on which precisions are compared.
  /// - Throws: ``EncoderError``, which names the file and the key that is missing, malformed or not supported.
  init(
    transformer folder: ModelFolder, longest: Int?, _ options: LoadingOptions,
    pool: @escaping ([TokenSequence], UnsafePointer<Float>, _ width: Int) -> Matrix
  ) throws(EncoderError) {
    let found = try TransformerFolder(folder, limits: [longest, options.maxSequenceLength])
    let (tokenizer, loaded, checkpoint) = (found.tokenizer, found.description, try Checkpoint(folder))
    // A tokenizer may leave nothing of a text, which the architecture does not take.
    let texts = PrecisionChoice.texts
      .map { TokenSequence(tokenizer.encode($0, maxLength: loaded.longestSequence).ids) }.filter { $0.count > 0 }
    (architecture, precision) = try PrecisionChoice.load(options.precision, options.kernels) {
      precision throws(EncoderError) in
      try Transformer(loaded, checkpoint, precision, options.kernels, threads: options.threads)
    } encode: { architecture throws(EncoderError) in
      do throws(EncodingFailure) {
        return try architecture.forward(texts, nil) { pool(texts, $0, architecture.hiddenSize) }
      } catch {
        throw .outOfMemory
      }
    }
    batchTokens = try BatchBudget.measure(architecture)
    maxSequenceLength = loaded.longestSequence
    (self.tokenizer, self.folder, self.checkpoint) = (tokenizer, folder, checkpoint)
  }

  /// Loads a table of vectors and its tokenizer. It has no products, and thus no other precision than f32.
  init(table folder: ModelFolder, _ options: LoadingOptions) throws(EncoderError) {
    do throws(FieldError) {
      tokenizer = try Tokenizer(folder)
    } catch {
      throw EncoderError(error)
    }
    checkpoint = try Checkpoint(folder)
    let table = try StaticEmbedding(checkpoint, options.kernels)
    guard tokenizer.vocabularySize <= table.vocabularySize else {
      throw .folder(
        key: "model.safetensors",
        message: "has vectors of \(table.vocabularySize) tokens, and the tokenizer has \(tokenizer.vocabularySize)")
    }
    architecture = table
    precision =
      options.precision == .f32
      ? .f32 : PrecisionChoice(precision: .f32, reason: "because the model has no products", accuracy: nil)
    batchTokens = try BatchBudget.measure(table)
    // Sentence Transformers sets no length here: the tokenizer cuts by itself where its file says so.
    maxSequenceLength = min(
      table.longestSequence, tokenizer.statedLength ?? .max, max(2, options.maxSequenceLength ?? .max))
    self.folder = folder
  }

  private init(_ other: LoadedModel, _ architecture: any Architecture) {
    self.architecture = architecture
    precision = .f32
    batchTokens = other.batchTokens
    maxSequenceLength = min(other.maxSequenceLength, architecture.longestSequence)
    (tokenizer, folder, checkpoint) = (other.tokenizer, other.folder, other.checkpoint)
  }

  /// The number of tokens of a prompt, with the special ones before it.
  func tokens(ofPrompt prompt: String) -> Int {
    max(0, tokenizer.encode(prompt, maxLength: .max).ids.count - tokenizer.framing.after.count)
  }

  /// The same model with another architecture.
  func replacing(_ architecture: any Architecture) -> LoadedModel { LoadedModel(self, architecture) }

  /// SHA-256 (FIPS 180-4) over settings, configuration, vocabulary and the bytes of all tensors, as 64 hexadecimal
  /// digits.
  ///
  /// - Parameter others: checkpoints of modules that have weights of their own.
  func fingerprint(settings: String, _ others: [Checkpoint] = []) throws(EncoderError) -> String {
    do {
      var hash = try SHA256()
      hash.add(Array(settings.utf8))
      for name in ["config.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt"] {
        if let bytes = try folder.bytes(of: name) { hash.add(bytes) }
      }
      for checkpoint in [checkpoint] + others {
        // SAFETY: the view keeps its bytes alive.
        for tensor in checkpoint.names.compactMap({ checkpoint.tensor($0) }) { hash.add(tensor.bytes) }
      }
      return SHA256.hexadecimal(try hash.digest())
    } catch let error as FieldError {
      throw EncoderError(error)
    } catch {
      throw .cryptographicLibrary
    }
  }

  /// Runs a batch, whose inputs are checked, and checks that all values of the rows are finite.
  ///
  /// - Parameter read: makes a row for each sequence of their hidden states.
  func run(
    _ sequences: [TokenSequence], _ crew: Crew?, _ read: (UnsafePointer<Float>) -> Matrix
  ) throws(EncodingFailure) -> Matrix {
    for (index, sequence) in sequences.enumerated() where sequence.count > maxSequenceLength {
      throw .invalidInput(index)
    }
    try architecture.check(sequences)
    let rows = try (crew ?? Crew.alone).work { team throws(EncodingFailure) in
      try architecture.forward(sequences, team, read)
    }
    for index in 0..<rows.rows where !rows.row(index).allSatisfy(\.isFinite) { throw .notFinite(index) }
    return rows
  }
}
