import Encoder
import Tokenization

/// The special tokens that a model has around a text, and what they tell of token ids that a client sends.
///
/// Ids say nothing of the vocabulary that they are from, and those of another model give a vector that looks like any
/// other. The special tokens are what tells them apart: nobody's ids begin and end with those of this model by
/// accident.
struct TokenFraming: Sendable {
  private let before: [Int32]
  private let after: [Int32]
  /// As the vocabulary spells them.
  private let names: (before: String, after: String)

  init(_ encoder: SentenceEncoder) {
    (before, after) = encoder.framing
    let isFramed = !before.isEmpty || !after.isEmpty
    let spelt = isFramed ? encoder.tokenizer.tokens("", addSpecialTokens: true).map(\.text) : []
    names = (
      spelt.prefix(before.count).joined(separator: " "), spelt.dropFirst(before.count).joined(separator: " ")
    )
  }

  /// Whether the ids begin and end with the special tokens.
  func encloses(_ ids: [Int32]) -> Bool {
    ids.count >= before.count + after.count && ids.starts(with: before) && ids.suffix(after.count).elementsEqual(after)
  }

  /// The ids with the special tokens around them, where they lack them.
  func around(_ ids: [Int32]) -> [Int32] { encloses(ids) ? ids : before + ids + after }

  /// Why ids are refused as those of another model; nil where they are this one's.
  ///
  /// Where the model has no tokens around a text, nothing shows whose ids they are, and all are refused.
  func refusal(_ ids: [Int32]) -> String? {
    guard before.isEmpty && after.isEmpty || !encloses(ids) else { return nil }
    let reason =
      before.isEmpty && after.isEmpty
      ? "token ids cannot be told from those of another model, since this model has no special tokens around a text"
      : "these token ids may be of another model, since \(expectation)"
    return "\(reason). \(Self.cure)"
  }

  private var expectation: String {
    if after.isEmpty { return "this model's begin with \(names.before)" }
    if before.isEmpty { return "this model's end with \(names.after)" }
    return "this model's begin with \(names.before) and end with \(names.after)"
  }

  /// What to do about ids of another vocabulary, for the client that most often sends them.
  static let cure =
    "Send texts instead: LangChain's OpenAIEmbeddings does with check_embedding_ctx_length=False. "
    + "nearfar serve --accept-token-ids takes all token ids"
}
