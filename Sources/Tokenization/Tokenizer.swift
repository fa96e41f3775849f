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
  private let parts: TokenizerParts

  /// Reads `tokenizer.json`, or `vocab.txt` where there is none, together with `tokenizer_config.json`.
  ///
  /// Of truncation and padding in `tokenizer.json` only the side is applied that a long text is cut at: the caller of
  /// ``encode(_:maxLength:)`` sets the length, for which it may ask ``statedLength``.
  /// - Throws: ``FieldError`` naming the file or the key that is missing, malformed or not supported.
  public init(_ folder: ModelFolder) throws(FieldError) {
    let settings = try TokenizerSettings(folder.json("tokenizer_config.json"))
    if let file = try folder.json("tokenizer.json") {
      parts = try TokenizerFile(root: file).parts(settings)
    } else if let file = try folder.bytes(of: "vocab.txt") {
      parts = try VocabularyFile(file).parts(settings)
    } else {
      throw try Self.missing(in: folder)
    }
    vocabularySize = parts.engine.texts.count
  }

  /// Why a folder without tokenizer.json and vocab.txt cannot be read, and what to do about it.
  private static func missing(in folder: ModelFolder) throws(FieldError) -> FieldError {
    for name in ["sentencepiece.bpe.model", "spiece.model", "tokenizer.model", "vocab.json", "merges.txt"] {
      if try folder.bytes(of: name) == nil { continue }
      return FieldError(
        key: "tokenizer.json",
        message: """
          is missing, and \(name) is not read. To make tokenizer.json of it, load the folder with \
          AutoTokenizer.from_pretrained of the Python package transformers, and write it with save_pretrained
          """)
    }
    return FieldError(key: "tokenizer.json", message: "neither tokenizer.json nor vocab.txt is in \(folder.path)")
  }

  /// The ids of the special tokens before and after a text that is encoded alone.
  public var framing: (before: [Int32], after: [Int32]) {
    let frame = parts.postProcessor.single.frame
    return (frame.before.map(\.id), frame.after.map(\.id))
  }

  /// Whether a text that is too long loses its beginning instead of its end.
  public var truncatesLeft: Bool { parts.truncatesLeft }

  /// The most tokens of a text that `tokenizer.json` states; nil where it states none.
  public var statedLength: Int? { parts.longest }

  /// Whether a text that is encoded alone has tokens of another type than 0, so that an encoder must be given the types
  /// of ``encode(typed:maxLength:)``.
  public var hasTypes: Bool { !parts.postProcessor.single.hasOneType }

  /// The ids of a text with the special tokens around it, at most `maxLength` in all.
  ///
  /// The special tokens are kept, and those of the text are cut off: at its end, or at its beginning where the folder
  /// says so. Reading stops as soon as the length is exceeded.
  /// - Returns: the ids, and whether some tokens of the text were left out.
  public func encode(_ text: String, maxLength: Int) -> (ids: [Int32], truncated: Bool) {
    let result = encode(typed: text, maxLength: maxLength)
    return (result.ids, result.truncated)
  }

  /// As ``encode(_:maxLength:)``, with the token type of each id (`token_type_ids`).
  public func encode(typed text: String, maxLength: Int) -> (ids: [Int32], types: [Int32], truncated: Bool) {
    let template = parts.postProcessor.single
    let found = parts.ids(of: text, room: max(0, max(0, maxLength) - template.count))
    let (ids, types) = template.apply(to: [found.ids], maxLength: maxLength)
    return (ids, types, found.isCut)
  }

  /// The ids of two texts with the special tokens around and between them, at most `maxLength` in all, as a reranker
  /// reads a query and a document.
  ///
  /// The special tokens are kept, and the longer text is cut off first, as with `longest_first` of the reference.
  /// - Returns: the ids, the token type of each (`token_type_ids`), and whether some tokens of the texts were left out.
  public func encode(pair: (String, String), maxLength: Int) -> (ids: [Int32], types: [Int32], truncated: Bool) {
    let template = parts.postProcessor.pair
    let found = parts.ids(of: pair, room: max(0, max(0, maxLength) - template.count))
    let (ids, types) = template.apply(to: found.ids, maxLength: maxLength)
    return (ids, types, found.isCut)
  }

  /// The ids of a text without special tokens.
  public func ids(of text: String) -> [Int32] { parts.engine.scan(text, limit: .max - 1, isTraced: false).ids }

  /// As ``encode(pair:maxLength:)``, for a first text that stands before several others and is read once.
  ///
  /// - Parameter first: the ids of the first text.
  public func encode(_ first: [Int32], with second: String, maxLength: Int)
    -> (ids: [Int32], types: [Int32], truncated: Bool)
  {
    let template = parts.postProcessor.pair
    let found = parts.ids(of: first, second, room: max(0, max(0, maxLength) - template.count))
    let (ids, types) = template.apply(to: found.ids, maxLength: maxLength)
    return (ids, types, found.isCut)
  }

  /// All tokens of a text, with their places in it.
  ///
  /// `start` and `stop` are UTF-8 byte offsets into `text`. A token covers only those of its characters that the
  /// normaliser kept, so the pieces of one word need not adjoin.
  public func tokens(_ text: String, addSpecialTokens: Bool) -> [Token] {
    let found = parts.engine.scan(text, limit: .max - 1, isTraced: true)
    let texts = parts.engine.texts
    let frame = parts.postProcessor.single.frame
    var tokens: [Token] = []
    tokens.reserveCapacity(found.ids.count)
    for (id, span) in zip(found.ids, found.spans) {
      tokens.append(Token(id: id, text: texts[Int(id)], special: false, start: span.start, stop: span.stop))
    }
    parts.postProcessor.trim(&tokens, text, spellings: found.spellings)
    return addSpecialTokens ? frame.before + tokens + frame.after : tokens
  }
}
