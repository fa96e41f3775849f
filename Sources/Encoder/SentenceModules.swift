import JSON
import Tokenization

/// The settings that Sentence Transformers keeps beside the transformer: `modules.json`, `1_Pooling/config.json`,
/// `sentence_bert_config.json` and `config_sentence_transformers.json`. Each is optional, except the pooling that
/// modules.json names.
struct SentenceModules {
  /// Their results stand one after another.
  var poolings = [Pooling.mean]
  /// Whether the model divides its vectors by their Euclidean norm.
  var normalizes = false
  /// The most tokens of a sequence; nil where the folder does not limit it.
  var maxSequenceLength: Int?
  /// Texts that may be put before an input, by name.
  var prompts: [String: String] = [:]

  /// Reads the files. A folder without `modules.json` is a bare transformer, for which mean pooling is used, as
  /// Sentence Transformers does. Prompts that are not strings are left out.
  ///
  /// - Throws: ``FieldError`` for a module or a pooling mode that is not supported, and for other values that are
  ///   malformed.
  init(_ folder: ModelFolder) throws(FieldError) {
    if let file = try folder.json("modules.json") { try readModules(file, folder) }
    if let field = try folder.json("sentence_bert_config.json")?.optional("max_seq_length") {
      // Fewer than two tokens leave no room for text.
      maxSequenceLength = try field.integer(in: 2...Int.max)
    }
    if let prompts = try folder.json("config_sentence_transformers.json")?.optional("prompts") {
      for (name, value) in prompts.value.members ?? [] { self.prompts[name] = value.string }
    }
  }

  private mutating func readModules(_ file: JSONField, _ folder: ModelFolder) throws(FieldError) {
    for (position, module) in try file.elements().enumerated() {
      let type = module.optional("type")
      let name = type?.value.string ?? ""
      switch (position, name.split(separator: ".").last) {
      case (0, "Transformer"):
        break
      case (1, "Pooling"):
        let path = module.optional("path")?.value.string ?? "1_Pooling"
        poolings = try Pooling.read(try folder.requiredJSON("\(path)/config.json"))
      case (2, "Normalize"):
        normalizes = true
      default:
        throw module.refused(
          "type", "\"\(name)\" is not supported; supported: Transformer, Pooling and Normalize, in this order")
      }
    }
  }
}
