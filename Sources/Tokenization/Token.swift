/// One token of a text.
public struct Token: Sendable, Equatable {
  /// The token's row in the vocabulary.
  public var id: Int32
  /// The token as the vocabulary spells it, for instance `##ing`.
  public var text: String
  /// The template put it there (`[CLS]`, `[SEP]`); one that stands in the text itself is not special.
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

/// A tokenizer folder that cannot be loaded exactly.
public struct TokenizerError: Error, Sendable {
  /// The file or the key at fault, for instance `tokenizer.json: normalizer.type`.
  public var key: String
  /// Why it is refused.
  public var message: String

  public init(key: String, message: String) {
    self.key = key
    self.message = message
  }
}
