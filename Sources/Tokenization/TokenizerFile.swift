import JSON

/// `tokenizer.json`, which holds the whole pipeline in one section for each step, each with its type. The type of each
/// step reads its own section; a section of a type that is not implemented is rejected here, and the error names its
/// key.
struct TokenizerFile {
  let root: JSONField

  func pipeline(_ settings: TokenizerSettings) throws(FieldError) -> Pipeline {
    let normalizer = try BertNormalizer(try section("normalizer", type: "BertNormalizer"))
    try settings.check(against: normalizer)
    _ = try section("pre_tokenizer", type: "BertPreTokenizer")
    let model = try WordPiece.read(try section("model", type: "WordPiece"))
    let added = try addedTokens(model)
    let size = max(model.texts.count, (added.map { Int($0.id) }.max() ?? -1) + 1)
    return Pipeline(
      normalizer: normalizer, model: model, added: added,
      postProcessor: try TemplateProcessing(
        try section("post_processor", type: "TemplateProcessing"), vocabularySize: size))
  }

  /// The section `name`, which must be of a type that is implemented.
  private func section(_ name: String, type: String) throws(FieldError) -> JSONField {
    let section = try root.required(name)
    _ = try section.required("type").string(oneOf: [type])
    return section
  }

  private func addedTokens(_ model: some SubwordModel) throws(FieldError) -> [AddedToken] {
    var tokens: [AddedToken] = []
    for entry in try root.optional("added_tokens")?.elements() ?? [] {
      let id = try entry.required("id")
      let token = try AddedToken(id: id.tokenID(), entry)
      if let known = model.id(of: token.content), known != token.id {
        throw id.refused("\"\(token.content)\" has the id \(known) in the vocabulary")
      }
      tokens.append(token)
    }
    try root.optional("added_tokens")?.refuseBeyondTrie(tokens.map(\.content))
    return tokens
  }
}
