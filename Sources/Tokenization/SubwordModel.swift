/// The model of a tokenizer, `model` in tokenizer.json, which splits one word into tokens of its vocabulary.
///
/// ``WordPiece`` is one such model; BPE and Unigram are others.
protocol SubwordModel: Sendable {
  /// The text of each id; empty where an id has none.
  var texts: [String] { get }
  /// The most characters of a word. Of a longer word the model sees only how many characters there are.
  var maximumCharacters: Int { get }

  /// The id of a token by its text as the vocabulary spells it; nil when the vocabulary does not have it.
  func id(of token: String) -> Int32?

  /// Appends the tokens of a word, which has at least one character.
  func encode(_ word: WordBuffer, into tokens: inout TokenList)

  /// Runs ``Scan/run(_:_:_:limit:isTraced:)`` with this model. This is a requirement so that the whole scan is compiled
  /// for each model: calling the model through the protocol for each word would take a tenth of the time.
  func scan(_ pipeline: Pipeline, _ text: String, limit: Int, isTraced: Bool) -> TokenList
}

extension SubwordModel {
  func scan(_ pipeline: Pipeline, _ text: String, limit: Int, isTraced: Bool) -> TokenList {
    Scan.run(pipeline, self, text, limit: limit, isTraced: isTraced)
  }

  /// Runs ``Scan/normalize(_:_:_:)`` with this model.
  func normalize(_ text: String, _ pipeline: Pipeline) -> [UInt8] { Scan.normalize(text, pipeline, self) }
}

/// The tokens that were found in a text, in its order.
struct TokenList {
  private(set) var ids: [Int32] = []
  /// The place of each token in the text, in bytes; empty when places are not needed.
  private(set) var spans: [WordBuffer.Span] = []
  /// The texts of tokens that are not those of their ids, by their index: added tokens as they were found, with white
  /// space around them, and unknown words. Kept where places are.
  private(set) var spellings: [Int: String] = [:]
  private let keepsSpans: Bool

  init(capacity: Int, keepsSpans: Bool) {
    self.keepsSpans = keepsSpans
    ids.reserveCapacity(capacity)
  }

  @inline(__always)
  mutating func append(_ id: Int32, _ span: @autoclosure () -> WordBuffer.Span) {
    ids.append(id)
    if keepsSpans { spans.append(span()) }
  }

  /// Appends a token whose text is `spelling`.
  mutating func append(
    _ id: Int32, spelling: @autoclosure () -> Slice<UnsafeBufferPointer<UInt8>>,
    _ span: @autoclosure () -> WordBuffer.Span
  ) {
    if keepsSpans { spellings[ids.count] = String(decoding: spelling(), as: UTF8.self) }
    append(id, span())
  }

  /// Removes the tokens from index `count` on.
  mutating func truncate(to count: Int) {
    ids.removeSubrange(count...)
    if keepsSpans { spans.removeSubrange(count...) }
  }
}
