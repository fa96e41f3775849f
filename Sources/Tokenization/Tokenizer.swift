import JSON

/// One token of a text.
public struct Token: Sendable, Equatable {
  /// The token's row in the vocabulary.
  public var id: Int32
  /// The token as the vocabulary spells it, for instance `##ing`.
  public var text: String
  /// It was put around the text (`[CLS]`, `[SEP]`); a token that occurs in the text itself is not special.
  public var special: Bool
  /// Where the token's text starts in the input, in UTF-8 bytes; nil for a token that is not in it.
  public var start: Int?
  /// One past the token's last byte in the input; nil for a token that is not in it.
  public var stop: Int?

  public init(id: Int32, text: String, special: Bool, start: Int?, stop: Int?) {
    self.id = id
    self.text = text
    self.special = special
    self.start = start
    self.stop = stop
  }
}

/// Text to token ids, exactly as the model in a folder was trained with, and as the `tokenizers` library of Hugging Face
/// computes them: normaliser, pre-tokeniser, model and post-processor.
///
/// A tokenizer never changes and may be used from any thread.
public final class Tokenizer: Sendable {
  /// Rows that an embedding table needs: one more than the highest id.
  public let vocabularySize: Int
  private let pipeline: Pipeline

  /// Reads `tokenizer.json`, or `vocab.txt` where there is none, together with `tokenizer_config.json`.
  ///
  /// Truncation and padding that `tokenizer.json` asks for are not applied: the caller of ``encode(_:maxLength:)`` sets the
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

  /// The ids of a text with the special tokens around it, at most `maxLength` of them in all.
  ///
  /// The special tokens are kept and the text's own are cut off. Reading stops as soon as the length is passed.
  /// - Returns: the ids, and whether some of the text's tokens were left out.
  public func encode(_ text: String, maxLength: Int) -> (ids: [Int32], truncated: Bool) {
    let room = max(0, max(0, maxLength) - pipeline.postProcessor.count)
    let found = pipeline.model.scan(pipeline, text, limit: room, isTraced: false).ids
    return (pipeline.postProcessor.apply(to: found, maxLength: maxLength), found.count > room)
  }

  /// Every token of a text, with its place in it.
  ///
  /// `start` and `stop` are UTF-8 byte offsets into `text`. A token of which the normaliser dropped characters covers
  /// what is left of it, so pieces of one word need not touch.
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
