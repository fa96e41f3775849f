import Encoder

/// What a text is embedded for, where a model tells the texts that are searched for from those that are searched.
enum TextRole: Sendable {
  case query
  case document

  /// What the model's folder has to be put before such a text; empty where it has nothing.
  func prompt(_ encoder: SentenceEncoder) -> String {
    names.lazy.compactMap { encoder.prompts[$0] }.first ?? ""
  }

  /// Names that folders use for it (`config_sentence_transformers.json`).
  private var names: [String] {
    switch self {
    case .query: ["query"]
    case .document: ["document", "passage"]
    }
  }
}
