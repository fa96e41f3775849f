import Safetensors
import SimilarityCore
import Tokenization

/// Turns texts into vectors with a trained BERT encoder, from a folder in the Hugging Face layout.
public final class SentenceEncoder: Sendable {
  public let configuration: EncoderConfiguration
  public let tokenizer: Tokenizer
  public let pooling: Pooling
  /// `modules.json` ends in a Normalize module: the folder's own vectors have length 1.
  public let normalizes: Bool
  /// Longest sequence in tokens, [CLS] and [SEP] included.
  public let maxSequenceLength: Int
  /// SHA-256 over the weights and all settings that decide a vector.
  public let fingerprint: String
  /// The last part of the folder's path.
  public let name: String
  /// Texts that may be put before an input, by name (`config_sentence_transformers.json`).
  public let prompts: [String: String]
  private let transformer: Transformer
  private let workspaces: WorkspacePool

  /// Values of a vector.
  public var dimension: Int { configuration.hiddenSize }

  /// - Throws: ``EncoderError`` naming the file and key that is missing, broken or not supported.
  public init(folder: String, kernels: Kernels = .active) throws(EncoderError) {
    let configuration = try EncoderConfiguration(try ConfigurationFile("config.json", in: folder))
    let modules = try SentenceModules(folder: folder)
    var longest = configuration.maxPositions
    if let file = try ConfigurationFile.ifPresent("sentence_bert_config.json", in: folder) {
      longest = min(longest, try file.integer("max_seq_length", default: longest))
    }
    guard longest >= 2 else {
      throw EncoderError(
        key: "sentence_bert_config.json: max_seq_length", message: "\(longest) leaves no room for text")
    }
    do {
      tokenizer = try Tokenizer(folder: folder)
    } catch {
      throw EncoderError(key: error.key, message: error.message)
    }
    guard tokenizer.vocabularySize <= configuration.vocabularySize else {
      throw EncoderError(
        key: "config.json: vocab_size",
        message: "\(configuration.vocabularySize) is smaller than the tokenizer's \(tokenizer.vocabularySize)")
    }
    let archive: SafetensorsArchive
    do {
      archive = try SafetensorsArchive(memoryMapping: "\(folder)/model.safetensors")
    } catch {
      throw EncoderError(key: "model.safetensors", message: error.message)
    }
    let weights = try EncoderWeights(archive, configuration)
    fingerprint = try Fingerprint.of(
      folder, archive, settings: "\(modules.pooling.rawValue) \(modules.normalizes) \(longest)")
    prompts = try Self.prompts(folder)
    name = folder.split(separator: "/").last.map(String.init) ?? folder
    maxSequenceLength = longest
    pooling = modules.pooling
    normalizes = modules.normalizes
    transformer = Transformer(configuration: configuration, weights: weights, kernels: kernels)
    workspaces = WorkspacePool(configuration)
    self.configuration = configuration
    // The fingerprint has read it all; most of it is packed by now, and of the word vectors few are used.
    archive.releasePages()
  }

  /// The pooled vectors of packed token sequences, one row each, not normalised.
  ///
  /// A row has the same bytes alone and in any batch. Memory grows with the tokens of the batch: give it a few hundred.
  ///
  /// - Throws: ``EncodingFailure`` naming the sequence.
  public func encode(_ sequences: [[Int32]]) throws(EncodingFailure) -> Matrix {
    var tokens = 0
    for (index, sequence) in sequences.enumerated() {
      guard !sequence.isEmpty, sequence.count <= maxSequenceLength,
        sequence.allSatisfy({ $0 >= 0 && Int($0) < configuration.vocabularySize })
      else { throw .invalidSequence(index) }
      tokens += sequence.count
    }
    let pooled = try workspaces.with(tokens: tokens) { workspace throws(EncodingFailure) in
      try transformer.forward(sequences, workspace)
      return pool(sequences, workspace)
    }
    for index in 0..<pooled.rows where !pooled.row(index).allSatisfy(\.isFinite) { throw .notFinite(index) }
    return pooled
  }

  private func pool(_ sequences: [[Int32]], _ workspace: Workspace) -> Matrix {
    Matrix(rows: sequences.count, columns: dimension) { out in
      var states = UnsafePointer(workspace.hidden)
      for (index, sequence) in sequences.enumerated() {
        let row = UnsafeMutableBufferPointer(rebasing: out[index * dimension..<(index + 1) * dimension])
        switch pooling {
        case .mean: transformer.kernels.mean(states, rows: sequence.count, into: row)
        case .max: transformer.kernels.maximum(states, rows: sequence.count, into: row)
        case .cls: _ = row.update(from: UnsafeBufferPointer(start: states, count: dimension))
        }
        states += sequence.count * dimension
      }
    }
  }

  private static func prompts(_ folder: String) throws(EncoderError) -> [String: String] {
    let file = try ConfigurationFile.ifPresent("config_sentence_transformers.json", in: folder)
    var prompts: [String: String] = [:]
    for (name, value) in file?.root["prompts"]?.members ?? [] { prompts[name] = value.string }
    return prompts
  }
}
