import Encoder
import JSON
import SimilarityCore
import Tokenization

/// A table of token vectors that is to be trained, with its tokenizer: from nothing, or from what a teacher says about tokens.
///
/// A text's vector is the mean of its tokens' rows, so a table embeds hundreds of times as fast as the transformer that taught it.
package struct StaticModel {
  package let tokenizer: Tokenizer
  package let model: TrainableTable
  /// What the table learns from; nil for a table from nothing.
  package let teacher: TeacherRows?
  /// The folder with the tokenizer.
  private let source: String

  /// The usual number of values of a row.
  package static let usualDimension = 256

  /// A table of random rows.
  ///
  /// - Parameters:
  ///   - folder: has the tokenizer.
  ///   - dimension: from 1 to 65,536.
  ///   - dropout: of a text's values.
  /// - Throws: ``EncoderError`` naming the file that is missing or malformed.
  package init(
    tokenizerOf folder: String, dimension: Int, dropout: Float = 0, seed: UInt64
  ) throws(EncoderError) {
    let tokenizer = try Self.tokenizer(folder)
    self.tokenizer = tokenizer
    source = folder
    teacher = nil
    model = TrainableTable(
      vocabularySize: tokenizer.vocabularySize, dimension: dimension, dropout: dropout
    ) { values in
      var random = InitialValues(seed: seed, part: 3)
      random.fillNormally(
        UnsafeMutableBufferPointer(rebasing: values.values[..<(tokenizer.vocabularySize * dimension)]), deviation: 0.1)
    }
  }

  /// A table of what a teacher says about each token alone (as model2vec: Tulkens & van Dongen 2024): its vector of the token,
  /// with the special tokens around it, projected to the directions in which these vectors are longest, and multiplied by
  /// a/(a + p), where p is the share of the token in texts (Arora et al. 2017, "A simple but tough-to-beat baseline for sentence
  /// embeddings", section 3).
  ///
  /// - Parameters:
  ///   - folder: of an encoder with a transformer.
  ///   - dimension: at most the teacher's; nil for the smaller of the teacher's and ``usualDimension``.
  ///   - counts: how often each token occurs; nil where that is not known: p is then taken from the place of a token in the
  ///     vocabulary, in which frequent tokens come first (Zipf's law).
  ///   - precision: of the teacher's products.
  /// - Throws: ``EncoderError`` for a folder that cannot be a teacher, ``StepError`` for a dimension that is too large,
  ///   ``EncodingFailure``, and `ProductFailure`.
  package init(
    teacher folder: String, dimension: Int? = nil, counts: [Int]? = nil, dropout: Float = 0,
    precision: WantedPrecision = .auto, threads: Int
  ) throws {
    var options = LoadingOptions()
    (options.precision, options.threads) = (precision, threads)
    let encoder = try SentenceEncoder(folder: folder, options)
    guard encoder.hasTransformer else {
      throw EncoderError.folder(key: "modules.json", message: "a table of vectors cannot be a teacher")
    }
    let dimension = dimension ?? min(encoder.dimension, Self.usualDimension)
    guard (1...encoder.dimension).contains(dimension) else {
      throw StepError.option("dimension", "must be from 1 to the teacher's \(encoder.dimension)")
    }
    let count = encoder.tokenizer.vocabularySize
    let framing = encoder.framing
    let tokens = (0..<count).map { TokenSequence(framing.before + [Int32($0)] + framing.after) }
    let rows = try TeacherRows.rows(encoder, tokens, ParallelLoop(threads: threads))
    let shares = Self.shares(count, counts)
    let axes = dimension == encoder.dimension ? nil : PrincipalAxes(of: rows, count: dimension)
    var table = try axes?.project(rows) ?? rows
    for (token, share) in shares.enumerated() { table.scaleRow(token, by: Self.smoothing / (Self.smoothing + share)) }
    let first = table
    tokenizer = encoder.tokenizer
    source = folder
    teacher = TeacherRows(encoder, axes, threads: threads)
    model = TrainableTable(vocabularySize: count, dimension: dimension, dropout: dropout) { values in
      for (place, value) in first.values.enumerated() { values.values[place] = value }
    }
  }

  /// a of the weights a/(a + p), as in the paper.
  private static let smoothing = 1e-3

  /// The share of each token in texts; their sum is 1.
  private static func shares(_ count: Int, _ counts: [Int]?) -> [Double] {
    // One occurrence more for each, because a token that has not been seen may occur all the same.
    let weights = (0..<count).map { token in
      counts.map { Double(token < $0.count ? $0[token] : 0) + 1 } ?? 1 / Double(token + 2)
    }
    let sum = weights.reduce(0, +)
    return weights.map { $0 / sum }
  }

  private static func tokenizer(_ folder: String) throws(EncoderError) -> Tokenizer {
    do throws(FieldError) {
      return try Tokenizer(ModelFolder(path: folder))
    } catch {
      throw .folder(key: error.key, message: error.message)
    }
  }

  /// How texts become tokens: without special ones, which a table does not take.
  package var tokenizing: TokenizingOptions {
    var options = TokenizingOptions(maximumLength: min(model.longestSequence, tokenizer.statedLength ?? .max))
    options.isFramed = false
    return options
  }

  /// Writes the table as a folder that Sentence Transformers and this program load.
  ///
  /// - Parameter prompts: texts that stand before others, by name.
  /// - Throws: ``CheckpointError`` naming the file that cannot be read or written.
  package func write(
    to path: String, _ values: FloatArray, prompts: [String: String] = [:],
    _ operations: FileOperations = FileOperations()
  ) throws(CheckpointError) {
    let table = model.layout.entries[0]
    try FolderInstallation.write(path, operations) { folder throws(CheckpointError) in
      for name in ["tokenizer.json", "vocab.txt", "tokenizer_config.json"] where operations.isFile("\(source)/\(name)")
      {
        try folder.copy("\(source)/\(name)", as: "0_StaticEmbedding/\(name)")
      }
      try folder.write(
        "0_StaticEmbedding/model.safetensors", [OutputTensor(table.name, table.shape, values, from: table.start)])
      try folder.write("config_sentence_transformers.json", SentenceSettings.model(prompts))
      try folder.write(
        "modules.json",
        SentenceSettings.modules([
          (type: "StaticEmbedding", path: "0_StaticEmbedding"), (type: "Normalize", path: "1_Normalize"),
        ]))
    }
  }
}
