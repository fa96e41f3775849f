/// The pre-tokeniser of BERT, `BertPreTokenizer` in tokenizer.json. It splits a text into words at white space, and
/// makes each punctuation character a word of its own.
enum BertPreTokenizer {
  enum Class {
    case letter
    case space
    case punctuation
  }

  /// The class of a scalar of normalised text.
  static func classify(_ scalar: UInt32, _ unicode: UnicodeTables) -> Class {
    let properties = unicode.properties(of: scalar)
    if properties.contains(.space) { return .space }
    return properties.contains(.punctuation) ? .punctuation : .letter
  }
}
