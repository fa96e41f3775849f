import JSON

/// `vocab.txt`, the vocabulary of a folder without tokenizer.json: one token per line, whose id is the number of the
/// line, from 0.
struct VocabularyFile {
  private var tokens: [(text: String, id: Int32)] = []

  init(_ bytes: [UInt8]) throws(FieldError) {
    guard bytes.count <= ByteTrie.mostBytes else { throw FieldError(key: "vocab.txt", message: "is too large") }
    var lines = bytes.split(separator: 0x0A, omittingEmptySubsequences: false)
    if lines.last?.isEmpty == true { lines.removeLast() }
    for (number, line) in lines.enumerated() {
      let line = line.last == 0x0D ? line.dropLast() : line
      guard let text = String(validating: line, as: UTF8.self) else {
        throw FieldError(key: "vocab.txt", message: "line \(number + 1) is not UTF-8")
      }
      tokens.append((text, Int32(truncatingIfNeeded: number)))
    }
  }

  func parts(_ settings: TokenizerSettings) throws(FieldError) -> TokenizerParts {
    let normalizer = try settings.normalizer()
    let unknown = try settings.specialToken("unk_token", default: "[UNK]")
    guard let model = WordPiece(tokens: tokens, unknownToken: unknown, prefix: "##", maximumCharacters: 100) else {
      throw FieldError(key: "tokenizer_config.json: unk_token", message: "\"\(unknown)\" is not in vocab.txt")
    }
    let cls = try special(settings, model, "cls_token", "[CLS]")
    let sep = try special(settings, model, "sep_token", "[SEP]")
    var added = try settings.addedTokens() ?? []
    if added.isEmpty {
      added = [cls, sep, try special(settings, model, "unk_token", "[UNK]")]
      for (key, text) in [("pad_token", "[PAD]"), ("mask_token", "[MASK]")] {
        // These are optional, because encoding does not need them.
        let content = try settings.specialToken(key, default: text)
        if let id = model.id(of: content) { added.append(AddedToken(id: id, content: content)) }
      }
    }
    return TokenizerParts(
      engine: .bert(Pipeline(normalizer: normalizer, model: model, added: added)),
      postProcessor: PostProcessor(before: token(cls), after: token(sep)),
      truncatesLeft: settings.truncatesLeft ?? false)
  }

  private func special(
    _ settings: TokenizerSettings, _ model: WordPiece, _ key: String, _ text: String
  ) throws(FieldError) -> AddedToken {
    let content = try settings.specialToken(key, default: text)
    guard let id = model.id(of: content) else {
      throw FieldError(key: "tokenizer_config.json: \(key)", message: "\"\(content)\" is not in vocab.txt")
    }
    return AddedToken(id: id, content: content)
  }

  private func token(_ added: AddedToken) -> Token {
    Token(id: added.id, text: added.content, special: true, start: nil, stop: nil)
  }
}

/// `tokenizer_config.json`: the options of BERT's tokenizer under their older names.
struct TokenizerSettings {
  private let root: JSONField?
  let lowercases: Bool?
  let splitsChinese: Bool?
  let stripsAccents: Bool?
  /// Whether what is too long loses its beginning; nil when the file does not say.
  let truncatesLeft: Bool?

  init(_ root: JSONField?) throws(FieldError) {
    self.root = root
    lowercases = try root?.optional("do_lower_case")?.bool()
    splitsChinese = try root?.optional("tokenize_chinese_chars")?.bool()
    stripsAccents = try root?.optional("strip_accents")?.bool()
    let side = try root?.optional("truncation_side")?.string(oneOf: ["right", "left"])
    truncatesLeft = side.map { $0 == "left" }
  }

  /// Rejects settings that contradict tokenizer.json, because it is unknown which of the two the model was trained
  /// with.
  func check(against normalizer: BertNormalizer) throws(FieldError) {
    let pairs = [
      ("do_lower_case", lowercases, normalizer.lowercases),
      ("tokenize_chinese_chars", splitsChinese, normalizer.splitsChinese),
      ("strip_accents", stripsAccents, normalizer.stripsAccents),
    ]
    for (key, stated, used) in pairs where stated != nil && stated != used {
      throw FieldError(
        key: "tokenizer_config.json: \(key)", message: "contradicts the normalizer of tokenizer.json")
    }
  }

  /// The normaliser of a folder without tokenizer.json.
  func normalizer() throws(FieldError) -> BertNormalizer {
    if let basic = root?.optional("do_basic_tokenize"), try !basic.bool() { throw basic.refused("must be true") }
    if let kept = root?.optional("never_split"), kept.value.count > 0 { throw kept.refused("is not supported") }
    let lowercases = lowercases ?? true
    return BertNormalizer(
      cleansText: true, splitsChinese: splitsChinese ?? true, stripsAccents: stripsAccents ?? lowercases,
      lowercases: lowercases)
  }

  /// The text of a special token such as `cls_token`, which is a string, or an object with `content`.
  func specialToken(_ key: String, default text: String) throws(FieldError) -> String {
    guard let field = root?.optional(key) else { return text }
    if let content = field.optional("content") { return try content.string() }
    return try field.string()
  }

  /// The added tokens by id in `added_tokens_decoder`; nil when the file does not have it.
  func addedTokens() throws(FieldError) -> [AddedToken]? {
    guard let decoder = root?.optional("added_tokens_decoder") else { return nil }
    var tokens: [AddedToken] = []
    for (name, field) in try decoder.members() {
      // Int32(_:) also accepts a plus sign, which no program writes in such a key.
      guard let id = Int32(name), (0...9_999_999).contains(id) else { throw field.refused("its key is not a token id") }
      tokens.append(try AddedToken(id: id, field))
    }
    try decoder.refuseBeyondTrie(tokens.map(\.content))
    return tokens
  }
}
