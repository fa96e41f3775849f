/// Text to token ids, exactly as the model in a folder was trained with: BERT's normaliser, pre-tokeniser and
/// WordPiece, as the `tokenizers` library of Hugging Face runs them.
///
/// A tokenizer never changes and may be used from any thread.
public final class Tokenizer: Sendable {
  /// Rows that an embedding table needs: one more than the highest id.
  public let vocabularySize: Int
  private let model: TokenizerModel

  /// Reads `tokenizer.json`, or `vocab.txt` where there is none, with what `tokenizer_config.json` adds.
  ///
  /// Truncation and padding stated in `tokenizer.json` are not applied: the caller of `encode` sets the length.
  /// - Throws: `TokenizerError` naming the file or the key that is missing, malformed or not supported.
  public init(folder: String) throws(TokenizerError) {
    model = try TokenizerFolder(path: folder).model()
    vocabularySize = model.wordPiece.texts.count
  }

  /// The ids of a text with the template's special tokens, at most `maxLength` of them in all.
  ///
  /// The special tokens are kept and the text's own are cut off. Reading stops as soon as the length is passed.
  /// - Returns: the ids, and whether some of the text's tokens were left out.
  public func encode(_ text: String, maxLength: Int) -> (ids: [Int32], truncated: Bool) {
    let template = model.template
    let room = max(0, max(0, maxLength) - template.count)
    let found = Scan.run(model, text, limit: room, isTraced: false).ids
    var ids: [Int32] = []
    ids.reserveCapacity(template.count + min(found.count, room))
    for token in template.before { ids.append(token.id) }
    ids += found.prefix(room)
    for token in template.after { ids.append(token.id) }
    // Only where even the special tokens are too many.
    if ids.count > maxLength { ids.removeLast(min(ids.count, ids.count - max(0, maxLength))) }
    return (ids, found.count > room)
  }

  /// Every token of a text, with its place in it.
  ///
  /// `start` and `stop` are UTF-8 byte offsets into `text`. A token of which the normaliser dropped characters covers
  /// what is left of it, so pieces of one word need not touch.
  public func tokens(_ text: String, addSpecialTokens: Bool) -> [Token] {
    let found = Scan.run(model, text, limit: .max - 1, isTraced: true)
    var tokens: [Token] = []
    tokens.reserveCapacity(found.ids.count + model.template.count)
    if addSpecialTokens { tokens += model.template.before }
    for (id, span) in zip(found.ids, found.spans) {
      let text = model.wordPiece.texts[Int(id)]
      tokens.append(Token(id: id, text: text, special: false, start: span.start, stop: span.stop))
    }
    if addSpecialTokens { tokens += model.template.after }
    return tokens
  }
}
