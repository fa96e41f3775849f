import COpenSSL
import JSON
import Safetensors
import SimilarityCore
import Tokenization

/// A text encoder from a folder in the Hugging Face layout: a tokenizer, an architecture with its weights, and a
/// pooling that turns the hidden states of a text's tokens into one vector.
public struct SentenceEncoder: BatchEncoder {
  public let tokenizer: Tokenizer
  /// How the hidden states of a text become one vector; the results of several stand one after another.
  public let poolings: [Pooling]
  /// Whether `modules.json` ends in a Normalize module: the model is then meant to give vectors of length 1.
  /// ``encode(_:)`` does not normalise.
  public let normalizes: Bool
  /// The most tokens of a sequence, including the special ones.
  public let maxSequenceLength: Int
  public let fingerprint: String
  /// The last part of the folder's path.
  public let name: String
  /// Texts that may be put before an input, by name (`config_sentence_transformers.json`).
  public let prompts: [String: String]
  /// The precision of the products, why it was chosen, and how near its vectors come to those of f32.
  public let precision: PrecisionChoice
  public let batchTokens: Int
  private let architecture: any Architecture
  private let kernels: Kernels

  /// Loads the encoder from a folder.
  ///
  /// - Parameters:
  ///   - wanted: the precision. With one other than f32, the model is loaded in f32 first, to measure the difference.
  ///   - kernels: the variant of the innermost loops.
  ///   - threads: the threads of a crew that may share a batch.
  /// - Throws: ``EncoderError``, which names the file and the key that is missing, malformed or not supported.
  public init(
    folder path: String, precision wanted: WantedPrecision = .f32, kernels: Kernels = .active, threads: Int = 1
  ) throws(EncoderError) {
    let folder = ModelFolder(path: path)
    var description: TransformerDescription
    let modules: SentenceModules
    do throws(FieldError) {
      let configuration = try folder.requiredJSON("config.json")
      description = try Family.description(configuration)
      modules = try SentenceModules(folder)
      tokenizer = try Tokenizer(folder)
      guard tokenizer.vocabularySize <= description.vocabularySize else {
        throw configuration.refused(
          "vocab_size",
          "\(description.vocabularySize) is smaller than the tokenizer's \(tokenizer.vocabularySize)")
      }
      guard description.longestSequence >= 2 else {
        throw configuration.refused(
          "max_position_embeddings", "\(description.longestSequence) leaves no room for text")
      }
    } catch {
      throw EncoderError(error)
    }
    let longest = min(description.longestSequence, modules.maxSequenceLength ?? description.longestSequence)
    description.longestSequence = longest
    let checkpoint = try Checkpoint(folder)
    let (tokenizer, poolings, loaded) = (tokenizer, modules.poolings, description)
    let texts = PrecisionChoice.texts.map { tokenizer.encode($0, maxLength: longest).ids }
    (architecture, precision) = try PrecisionChoice.load(wanted, kernels) { precision throws(EncoderError) in
      try Transformer(loaded, checkpoint, precision, kernels, threads: threads)
    } encode: { architecture throws(EncoderError) in
      do throws(EncodingFailure) {
        return try architecture.forward(texts, nil) { Self.pool(texts, $0, poolings, architecture.hiddenSize, kernels) }
      } catch {
        throw .outOfMemory
      }
    }
    batchTokens = try BatchBudget.measure(architecture)
    fingerprint = try Self.fingerprint(
      of: folder, checkpoint,
      settings: "\(Pooling.name(of: poolings)) \(modules.normalizes) \(longest)")
    prompts = modules.prompts
    name = path.split(separator: "/").last.map(String.init) ?? path
    maxSequenceLength = longest
    self.poolings = poolings
    normalizes = modules.normalizes
    self.kernels = kernels
    // All pages were read for the fingerprint. Most weights have been repacked since, and of the word vectors few are
    // used.
    checkpoint.releasePages()
  }

  /// Creates an encoder with another architecture, and with the tokenizer, prompts and pooling of `other`.
  package init(_ architecture: any Architecture, named name: String, fingerprint: String, like other: SentenceEncoder) {
    precondition(architecture.vocabularySize >= other.tokenizer.vocabularySize, "the vocabulary is too small")
    precondition(architecture.longestSequence >= 2, "there is no room for text")
    precision = .f32
    batchTokens = other.batchTokens
    self.architecture = architecture
    self.name = name
    self.fingerprint = fingerprint
    tokenizer = other.tokenizer
    poolings = other.poolings
    normalizes = other.normalizes
    maxSequenceLength = min(other.maxSequenceLength, architecture.longestSequence)
    prompts = other.prompts
    kernels = other.kernels
  }

  /// The number of values of a vector.
  public var dimension: Int { architecture.hiddenSize * poolings.count }

  /// The number of tokens of each sequence.
  public func costs(of sequences: [[Int32]]) -> [Int] { sequences.map(\.count) }

  /// The pooled vectors of token sequences, as in ``BatchEncoder/encode(_:_:)``. Batches of a few hundred tokens are
  /// best.
  public func encode(_ sequences: [[Int32]], _ crew: Crew?) throws(EncodingFailure) -> Matrix {
    for (index, sequence) in sequences.enumerated() {
      guard !sequence.isEmpty, sequence.count <= maxSequenceLength,
        sequence.allSatisfy({ $0 >= 0 && Int($0) < architecture.vocabularySize })
      else { throw .invalidInput(index) }
    }
    let pooled = try (crew ?? Crew.alone).work { team throws(EncodingFailure) in
      try architecture.forward(sequences, team) { Self.pool(sequences, $0, poolings, architecture.hiddenSize, kernels) }
    }
    for index in 0..<pooled.rows where !pooled.row(index).allSatisfy(\.isFinite) { throw .notFinite(index) }
    return pooled
  }

  /// Pools the hidden states of each sequence into a row.
  private static func pool(
    _ sequences: [[Int32]], _ hidden: UnsafePointer<Float>, _ poolings: [Pooling], _ width: Int, _ kernels: Kernels
  ) -> Matrix {
    Matrix(rows: sequences.count, columns: width * poolings.count) { out in
      var (states, start) = (hidden, 0)
      for sequence in sequences {
        for pooling in poolings {
          let part = UnsafeMutableBufferPointer(rebasing: out[start..<start + width])
          pooling.pool(states, rows: sequence.count, kernels, into: part)
          start += width
        }
        states += sequence.count * width
      }
    }
  }
}

extension SentenceEncoder {
  /// SHA-256 (FIPS 180-4) over settings, configuration, vocabulary and the bytes of all tensors, as 64 hexadecimal
  /// digits.
  private static func fingerprint(
    of folder: ModelFolder, _ checkpoint: Checkpoint, settings: String
  ) throws(EncoderError) -> String {
    // Read before the digest begins, which frees its state only when it is finished.
    var texts = [Array(settings.utf8)]
    for name in ["config.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt"] {
      do throws(FieldError) {
        if let bytes = try folder.bytes(of: name) { texts.append(bytes) }
      } catch {
        throw EncoderError(error)
      }
    }
    guard let state = nf_sha256_begin() else { throw .cryptographicLibrary }
    var failed = texts.reduce(0) { $0 | update(state, $1) }
    for tensor in checkpoint.names.compactMap({ checkpoint.tensor($0) }) {
      // SAFETY: the view keeps its bytes alive.
      failed |= nf_sha256_update(state, tensor.bytes.baseAddress, tensor.bytes.count)
    }
    var digest = [UInt8](repeating: 0, count: 32)
    failed |= nf_sha256_finish(state, &digest)
    guard failed == 0 else { throw .cryptographicLibrary }
    return digest.map { byte in
      let digits = String(byte, radix: 16)
      return byte < 16 ? "0" + digits : digits
    }.joined()
  }

  private static func update(_ state: OpaquePointer, _ bytes: [UInt8]) -> Int32 {
    bytes.withUnsafeBytes { nf_sha256_update(state, $0.baseAddress, $0.count) }
  }
}
