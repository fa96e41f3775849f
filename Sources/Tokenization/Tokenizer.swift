import JSON

/// One token of a text.
public struct Token: Sendable, Equatable {
  /// The id of the token, which is its row in the embedding table.
  public var id: Int32
  /// The token as the vocabulary spells it, for instance `##ing`.
  public var text: String
  /// Whether it was put around the text (`[CLS]`, `[SEP]`). A token that occurs in the text itself is not special.
  public var special: Bool
  /// The start of the token in the input, in UTF-8 bytes; nil for a special token.
  public var start: Int?
  /// One past the last byte of the token in the input; nil for a special token.
  public var stop: Int?

  public init(id: Int32, text: String, special: Bool, start: Int?, stop: Int?) {
    self.id = id
    self.text = text
    self.special = special
    self.start = start
    self.stop = stop
  }
}

/// Turns text into token ids with the same result as the `tokenizers` library of Hugging Face, by normaliser,
/// pre-tokeniser, model and post-processor.
///
/// A tokenizer never changes, and may be used from any thread.
public final class Tokenizer: Sendable {
  /// The number of rows that an embedding table needs: one more than the highest id.
  public let vocabularySize: Int
  private let pipeline: Pipeline

  /// Reads `tokenizer.json`, or `vocab.txt` where there is none, together with `tokenizer_config.json`.
  ///
  /// Truncation and padding in `tokenizer.json` are not applied: the caller of ``encode(_:maxLength:)`` sets the
  /// length.
  /// - Throws: ``FieldError`` naming the file or the key that is missing, malformed or not supported.
  public init(_ folder: ModelFolder) throws(FieldError) {
    let settings = try TokenizerSettings(folder.json("tokenizer_config.json"))
    if let file = try folder.json("tokenizer.json") {
      pipeline = try TokenizerFile(root: file).pipeline(settings)
    } else if let file = try folder.bytes(of: "vocab.txt") {
      pipeline = try VocabularyFile(file).pipeline(settings)
    } else {
      throw FieldError(key: "tokenizer.json", message: "neither tokenizer.json nor vocab.txt is in \(folder.path)")
    }
    vocabularySize = pipeline.texts.count
  }

  /// The ids of a text with the special tokens around it, at most `maxLength` in all.
  ///
  /// The special tokens are kept, and those of the text are cut off. Reading stops as soon as the length is exceeded.
  /// - Returns: the ids, and whether some tokens of the text were left out.
  public func encode(_ text: String, maxLength: Int) -> (ids: [Int32], truncated: Bool) {
    let room = max(0, max(0, maxLength) - pipeline.postProcessor.count)
    let found = pipeline.model.scan(pipeline, text, limit: room, isTraced: false).ids
    return (pipeline.postProcessor.apply(to: found, maxLength: maxLength), found.count > room)
  }

  /// All tokens of a text, with their places in it.
  ///
  /// `start` and `stop` are UTF-8 byte offsets into `text`. A token covers only those of its characters that the
  /// normaliser kept, so the pieces of one word need not adjoin.
  public func tokens(_ text: String, addSpecialTokens: Bool) -> [Token] {
    let found = pipeline.model.scan(pipeline, text, limit: .max - 1, isTraced: true)
    var tokens: [Token] = []
    tokens.reserveCapacity(found.ids.count + pipeline.postProcessor.count)
    if addSpecialTokens { tokens += pipeline.postProcessor.before }
    for (id, span) in zip(found.ids, found.spans) {
      let text = pipeline.texts[Int(id)]
      tokens.append(Token(id: id, text: text, special: false, start: span.start, stop: span.stop))
    }
    if addSpecialTokens { tokens += pipeline.postProcessor.after }
    return tokens
  }
}
