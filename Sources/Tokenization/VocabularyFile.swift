/// `vocab.txt`: one token a line; the line's number is its id.
struct VocabularyFile {
  private var tokens: [(text: String, id: Int32)] = []
  private var ids: [String: Int32] = [:]

  init(_ bytes: [UInt8]) throws(TokenizerError) {
    guard bytes.count < 1 << 23 else { throw TokenizerError(key: "vocab.txt", message: "is too large") }
    var lines = bytes.split(separator: 0x0A, omittingEmptySubsequences: false)
    if lines.last?.isEmpty == true { lines.removeLast() }
    for (number, line) in lines.enumerated() {
      let line = line.last == 0x0D ? line.dropLast() : line
      guard let text = String(validating: line, as: UTF8.self) else {
        throw TokenizerError(key: "vocab.txt", message: "line \(number + 1) is not UTF-8")
      }
      let id = Int32(truncatingIfNeeded: number)
      tokens.append((text, id))
      ids[text] = id
    }
  }

  func model(_ settings: TokenizerSettings) throws(TokenizerError) -> TokenizerModel {
    let options = try settings.options()
    let unknown = try settings.specialToken("unk_token", default: "[UNK]")
    let wordPiece = try WordPiece(tokens: tokens, unknownToken: unknown, prefix: "##", maximumCharacters: 100)
    let cls = try special(settings, "cls_token", "[CLS]")
    let sep = try special(settings, "sep_token", "[SEP]")
    var added = try settings.addedTokens() ?? []
    if added.isEmpty {
      added = [cls, sep, try special(settings, "unk_token", "[UNK]")]
      for (key, text) in [("pad_token", "[PAD]"), ("mask_token", "[MASK]")] {
        // A folder without them is no worse for encoding.
        let content = try settings.specialToken(key, default: text)
        if let id = ids[content] { added.append(AddedToken(id: id, content: content)) }
      }
    }
    let template = Template(before: [token(cls)], after: [token(sep)])
    return TokenizerModel(wordPiece: wordPiece, options: options, added: added, template: template)
  }

  private func special(_ settings: TokenizerSettings, _ key: String, _ text: String) throws(TokenizerError)
    -> AddedToken
  {
    let content = try settings.specialToken(key, default: text)
    guard let id = ids[content] else {
      throw TokenizerError(key: "tokenizer_config.json: \(key)", message: "\"\(content)\" is not in vocab.txt")
    }
    return AddedToken(id: id, content: content)
  }

  private func token(_ added: AddedToken) -> Token {
    Token(id: added.id, text: added.content, special: true, start: nil, stop: nil)
  }
}
