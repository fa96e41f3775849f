/// The model of tokenizer.json: it splits one word into tokens of its vocabulary.
///
/// ``WordPiece`` is one; BPE and Unigram are others.
protocol SubwordModel: Sendable {
  /// Text of each id; empty where an id has none.
  var texts: [String] { get }
  /// Most characters of a word whose bytes are kept; of a longer one only the number of characters is known.
  var maximumCharacters: Int { get }

  /// The id of a token by its text as the vocabulary spells it; nil when the vocabulary does not have it.
  func id(of token: String) -> Int32?

  /// Appends the tokens of a word, which has at least one character.
  func encode(_ word: WordBuffer, into tokens: inout TokenList)

  /// ``Scan/run(_:_:_:limit:isTraced:)`` with this model. A requirement, so that the whole scan is compiled for each model: a
  /// call through the protocol for each word would take a tenth of the time.
  func scan(_ pipeline: Pipeline, _ text: String, limit: Int, isTraced: Bool) -> TokenList
}

extension SubwordModel {
  func scan(_ pipeline: Pipeline, _ text: String, limit: Int, isTraced: Bool) -> TokenList {
    Scan.run(pipeline, self, text, limit: limit, isTraced: isTraced)
  }

  /// ``Scan/normalize(_:_:_:)`` with this model.
  func normalize(_ text: String, _ pipeline: Pipeline) -> [UInt8] { Scan.normalize(text, pipeline, self) }
}

/// Tokens that were found in a text.
struct TokenList {
  private(set) var ids: [Int32] = []
  /// The place of each token in the text, in bytes; empty when places are not asked for.
  private(set) var spans: [WordBuffer.Span] = []
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

  /// Takes back all tokens from index `count` on.
  mutating func truncate(to count: Int) {
    ids.removeSubrange(count...)
    if keepsSpans { spans.removeSubrange(count...) }
  }
}
