import JSON
import Tokenization

/// The settings that Sentence Transformers keeps beside the weights: `modules.json` with a `config.json` for each
/// module, `sentence_bert_config.json` and `config_sentence_transformers.json`. Each is optional, except what
/// modules.json names.
struct SentenceModules {
  /// What comes before the pooling.
  enum First {
    /// A transformer in this folder.
    case transformer(ModelFolder)
    /// A table of vectors without a transformer, in this folder.
    case table(ModelFolder)
  }

  /// A module behind the pooling.
  enum Later {
    /// A dense layer in this folder within the model's.
    case dense(String)
    case normalize
  }

  private(set) var first: First
  /// Their results stand one after another.
  private(set) var poolings = [Pooling.mean]
  /// Whether the tokens of a prompt are pooled.
  private(set) var poolsPrompt = true
  private(set) var later: [Later] = []
  /// The most tokens of a sequence; nil where the folder does not limit it.
  private(set) var maxSequenceLength: Int?
  private(set) var prompts = Prompts()
  /// Whether Sentence Transformers makes texts lower-case before the tokenizer sees them.
  private(set) var lowercases = false
  /// How vectors are meant to be compared; nil where the folder does not say.
  private(set) var similarity: Similarity?

  /// Reads the files. A folder without `modules.json` is a bare transformer, for which mean pooling is used, as
  /// Sentence Transformers does; or, where config.json says so, a table of model2vec.
  ///
  /// - Throws: ``FieldError`` for a module or a setting that is not supported, and for values that are malformed.
  init(_ folder: ModelFolder) throws(FieldError) {
    first = .transformer(folder)
    if let file = try folder.json("modules.json") {
      try readModules(file, folder)
    } else if let file = try folder.json("config.json"), file.optional("model_type")?.value.string == "model2vec" {
      first = .table(folder)
      if try file.flag("normalize") { later = [.normalize] }
    }
    if case .transformer(let inner) = first {
      maxSequenceLength = try Self.longest(inner)
      lowercases = try inner.json("sentence_bert_config.json")?.flag("do_lower_case") ?? false
    }
    if let file = try folder.json("config_sentence_transformers.json") {
      prompts = try Prompts(file)
      let names = Similarity.allCases.map(\.rawValue)
      similarity = Similarity(rawValue: try file.optional("similarity_fn_name")?.string(oneOf: names) ?? "")
    }
  }

  /// Refuses a tokenizer that tells capital letters apart where Sentence Transformers makes texts lower-case.
  func check(_ tokenizer: Tokenizer) throws(EncoderError) {
    let sample = (upper: "ABC ÄÖ", lower: "abc äö")
    guard lowercases,
      tokenizer.encode(sample.upper, maxLength: 64).ids != tokenizer.encode(sample.lower, maxLength: 64).ids
    else { return }
    throw .folder(
      key: "sentence_bert_config.json: do_lower_case",
      message: "'true' is not supported with a tokenizer that does not make texts lower-case itself")
  }

  /// The most tokens of a sequence: what Sentence Transformers was told, or else what the tokenizer is said to stand.
  static func longest(_ folder: ModelFolder) throws(FieldError) -> Int? {
    if let field = try folder.json("sentence_bert_config.json")?.optional("max_seq_length") {
      // Fewer than two tokens leave no room for text.
      return try field.integer(in: 2...Int.max)
    }
    // Where there is no limit, transformers writes a number beyond every integer.
    let stated = try folder.json("tokenizer_config.json")?.optional("model_max_length")
    return stated?.value.integer.flatMap { $0 >= 2 ? $0 : nil }
  }

  private mutating func readModules(_ file: JSONField, _ folder: ModelFolder) throws(FieldError) {
    var hasPooling = false
    for (position, module) in try file.elements().enumerated() {
      let type = try module.required("type").string()
      let path = try Self.path(of: module)
      switch (position, type.split(separator: ".").last, first) {
      case (0, "Transformer", _): first = .transformer(Self.folder(path, in: folder))
      case (0, "StaticEmbedding", _): first = .table(Self.folder(path, in: folder))
      case (1, "Pooling", .transformer):
        let file = try folder.requiredJSON("\(path.isEmpty ? "1_Pooling" : path)/config.json")
        hasPooling = true
        poolings = try Pooling.read(file)
        poolsPrompt = try file.flag("include_prompt", default: true)
      case (1..., "Dense", _): later.append(.dense(path))
      case (1..., "Normalize", _): later.append(.normalize)
      // It does nothing outside of training.
      case (1..., "Dropout", _): break
      default:
        throw module.refused(
          "type",
          "\"\(type)\" is not supported here; supported: Transformer and Pooling, or StaticEmbedding, and behind them "
            + "Dense, Normalize and Dropout")
      }
    }
    if case .transformer = first, !hasPooling { throw file.refused("has no Pooling behind the Transformer") }
  }

  /// The path of a module, which must stay within the folder.
  private static func path(of module: JSONField) throws(FieldError) -> String {
    guard let field = module.optional("path") else { return "" }
    let path = try field.string()
    guard !path.hasPrefix("/"), !path.split(separator: "/").contains("..") else {
      throw field.refused("must stay within the model's folder")
    }
    return path
  }

  private static func folder(_ path: String, in folder: ModelFolder) -> ModelFolder {
    path.isEmpty ? folder : ModelFolder(path: "\(folder.path)/\(path)")
  }
}

/// How the vectors of a model are meant to be compared (`similarity_fn_name`).
public enum Similarity: String, Sendable, CaseIterable {
  case cosine, dot, euclidean, manhattan
}
