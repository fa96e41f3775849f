/// All that a folder with BERT's combination of normaliser, pre-tokeniser and model says about how texts become ids. Added
/// tokens, normaliser and pre-tokeniser are one pass over the text (``Scan``); ``TextPipeline`` has any combination. It
/// never changes once it is loaded.
struct Pipeline: Sendable {
  /// The normaliser and the pre-tokeniser together.
  let folding: Folding
  /// What becomes of each ASCII byte, and for all bytes whether an added token may start with them.
  let ascii: [ASCIIAction]
  let model: any SubwordModel
  /// Added tokens that are matched in the original text.
  let rawTokens: AddedTokens
  /// Added tokens that are matched in the normalised text.
  let normalizedTokens: AddedTokens
  /// The text of each id, including those of the added tokens; empty where an id has none.
  let texts: [String]

  init(normalizer: BertNormalizer, model: any SubwordModel, added: [AddedToken]) {
    let folding = Folding(normalizer)
    let bare = Pipeline(folding: folding, model: model)
    var raw = AddedTokens()
    var normalized = AddedTokens()
    var texts = model.texts
    for token in added {
      let id = Int(token.id)
      if id >= texts.count { texts += [String](repeating: "", count: id + 1 - texts.count) }
      texts[id] = token.content
      if token.normalized {
        normalized.insert(token, spelling: model.normalize(token.content, bare))
      } else {
        raw.insert(token, spelling: token.content.utf8)
      }
    }
    self.init(folding: folding, model: model, raw: raw, normalized: normalized, texts: texts)
  }

  private init(
    folding: Folding, model: any SubwordModel, raw: AddedTokens = AddedTokens(),
    normalized: AddedTokens = AddedTokens(), texts: [String] = []
  ) {
    self.folding = folding
    self.model = model
    self.texts = texts
    rawTokens = raw
    normalizedTokens = normalized
    ascii = (0..<256).map { byte in
      let fold = byte < 0x80 ? folding.fold(UInt32(byte)) : Fold(.sequence, 0)
      return ASCIIAction(fold, byte: UInt8(byte), mayStartToken: raw.mayStart(with: UInt8(byte)))
    }
  }
}
