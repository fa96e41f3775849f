/// `tokenizer_config.json`: the options of BERT's tokenizer by their older names.
struct TokenizerSettings {
  private let root: Field?
  let lowercases: Bool?
  let splitsChinese: Bool?
  let stripsAccents: Bool?

  init(_ root: Field?) throws(TokenizerError) {
    self.root = root
    lowercases = try root?.optional("do_lower_case")?.bool()
    splitsChinese = try root?.optional("tokenize_chinese_chars")?.bool()
    stripsAccents = try root?.optional("strip_accents")?.bool()
  }

  /// Two files that contradict each other leave no right answer.
  func check(against options: NormalizerOptions) throws(TokenizerError) {
    let pairs = [
      ("do_lower_case", lowercases, options.lowercases),
      ("tokenize_chinese_chars", splitsChinese, options.splitsChinese),
      ("strip_accents", stripsAccents, options.stripsAccents),
    ]
    for (key, stated, used) in pairs where stated != nil && stated != used {
      throw TokenizerError(
        key: "tokenizer_config.json: \(key)", message: "contradicts the normalizer of tokenizer.json")
    }
  }

  /// What the tokenizer does when there is no `tokenizer.json`.
  func options() throws(TokenizerError) -> NormalizerOptions {
    if let basic = root?.optional("do_basic_tokenize"), try !basic.bool() { throw basic.refused("must be true") }
    if let kept = root?.optional("never_split"), kept.value.count > 0 { throw kept.refused("is not supported") }
    let lowercases = lowercases ?? true
    return NormalizerOptions(
      cleansText: true, splitsChinese: splitsChinese ?? true, stripsAccents: stripsAccents ?? lowercases,
      lowercases: lowercases)
  }

  /// The text of a special token such as `cls_token`: a string, or an object with `content`.
  func specialToken(_ key: String, default text: String) throws(TokenizerError) -> String {
    guard let field = root?.optional(key) else { return text }
    if let content = field.optional("content") { return try content.string() }
    return try field.string()
  }

  /// `added_tokens_decoder`: added tokens by id, nil when it is not stated.
  func addedTokens() throws(TokenizerError) -> [AddedToken]? {
    guard let members = try root?.optional("added_tokens_decoder")?.members() else { return nil }
    var tokens: [AddedToken] = []
    for (name, field) in members {
      // Int(_:) takes a sign too, which a key written by a program never has.
      guard let id = Int32(name), (0...9_999_999).contains(id) else { throw field.refused("the key is not an id") }
      tokens.append(try AddedToken(id: id, field))
    }
    return tokens
  }
}
