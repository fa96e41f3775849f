/// BERT's pre-tokeniser, `BertPreTokenizer` in tokenizer.json: words end at white space, and each punctuation character is
/// a word of its own.
enum BertPreTokenizer {
  enum Class {
    case letter
    case space
    case punctuation
  }

  /// The class of a scalar that the normaliser has put out.
  static func classify(_ scalar: UInt32, _ unicode: UnicodeTables) -> Class {
    let properties = unicode.properties(of: scalar)
    if properties.contains(.space) { return .space }
    return properties.contains(.punctuation) ? .punctuation : .letter
  }
}
