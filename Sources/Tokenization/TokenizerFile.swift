/// `tokenizer.json`: the whole pipeline, stated by type.
struct TokenizerFile {
  let root: Field

  func model(_ settings: TokenizerSettings) throws(TokenizerError) -> TokenizerModel {
    let options = try normalizer()
    try settings.check(against: options)
    try root.required("pre_tokenizer").requireType("BertPreTokenizer")
    var names: [String: Int32] = [:]
    let wordPiece = try wordPiece(&names)
    let added = try addedTokens(names)
    let size = max(wordPiece.texts.count, (added.map { Int($0.id) }.max() ?? -1) + 1)
    return TokenizerModel(
      wordPiece: wordPiece, options: options, added: added, template: try template(vocabularySize: size))
  }

  private func normalizer() throws(TokenizerError) -> NormalizerOptions {
    let normalizer = try root.required("normalizer")
    try normalizer.requireType("BertNormalizer")
    let lowercases = try normalizer.required("lowercase").bool()
    return NormalizerOptions(
      cleansText: try normalizer.required("clean_text").bool(),
      splitsChinese: try normalizer.required("handle_chinese_chars").bool(),
      // null means: as `lowercase` says.
      stripsAccents: try normalizer.optional("strip_accents")?.bool() ?? lowercases,
      lowercases: lowercases)
  }

  private func wordPiece(_ names: inout [String: Int32]) throws(TokenizerError) -> WordPiece {
    let model = try root.required("model")
    try model.requireType("WordPiece")
    var tokens: [(text: String, id: Int32)] = []
    for (text, id) in try model.required("vocab").members() {
      tokens.append((text, try id.id()))
      names[text] = tokens.last?.id
    }
    do {
      return try WordPiece(
        tokens: tokens, unknownToken: try model.required("unk_token").string(),
        prefix: try model.required("continuing_subword_prefix").string(),
        maximumCharacters: try model.required("max_input_chars_per_word").integer(1...10_000))
    } catch {
      throw error.key.contains(":") ? error : TokenizerError(key: "\(root.key): \(error.key)", message: error.message)
    }
  }

  private func addedTokens(_ names: [String: Int32]) throws(TokenizerError) -> [AddedToken] {
    var tokens: [AddedToken] = []
    for field in try root.optional("added_tokens")?.elements() ?? [] {
      let id = try field.required("id")
      let token = try AddedToken(id: id.id(), field)
      if let known = names[token.content], known != token.id {
        throw id.refused("\"\(token.content)\" has the id \(known) in the vocabulary")
      }
      tokens.append(token)
    }
    return tokens
  }

  private func template(vocabularySize: Int) throws(TokenizerError) -> Template {
    let processor = try root.required("post_processor")
    try processor.requireType("TemplateProcessing")
    var template = Template()
    var seenText = false
    for piece in try processor.required("single").elements() {
      if let text = piece.optional("Sequence") {
        let id = try text.required("id")
        if try id.string() != "A" || seenText { throw id.refused("the text must stand once, as \"A\"") }
        try requireFirstType(text)
        seenText = true
        continue
      }
      let special = try piece.required("SpecialToken")
      try requireFirstType(special)
      let name = try special.required("id").string()
      let entry = try processor.required("special_tokens").required(name)
      let ids = try entry.required("ids").elements()
      let texts = try entry.required("tokens").elements()
      guard ids.count == texts.count else { throw entry.refused("ids and tokens differ in number") }
      for (id, text) in zip(ids, texts) {
        let value = try id.id()
        guard value < vocabularySize else { throw id.refused("is not in the vocabulary") }
        let token = Token(id: value, text: try text.string(), special: true, start: nil, stop: nil)
        if seenText { template.after.append(token) } else { template.before.append(token) }
      }
    }
    guard seenText else { throw try processor.required("single").refused("the text does not stand in it") }
    return template
  }

  /// All positions of a single text have token type 0: no other type is handed on to the encoder.
  private func requireFirstType(_ piece: Field) throws(TokenizerError) {
    if let type = piece.optional("type_id") { _ = try type.integer(0...0) }
  }
}

extension AddedToken {
  /// An entry of `added_tokens` or of `added_tokens_decoder`.
  init(id: Int32, _ field: Field) throws(TokenizerError) {
    self.id = id
    content = try field.required("content").string()
    normalized = try field.optional("normalized")?.bool() ?? false
    singleWord = try field.optional("single_word")?.bool() ?? false
    stripsLeft = try field.optional("lstrip")?.bool() ?? false
    stripsRight = try field.optional("rstrip")?.bool() ?? false
  }
}
