/// The model of a tokenizer, as ``TextPipeline`` uses it: it splits one word, the bytes of which are in one piece, into
/// tokens of its vocabulary.
protocol WordModel: Sendable {
  /// The text of each id; empty where an id has none.
  var texts: [String] { get }
  /// The number of entries of the vocabulary, from which the ids of added tokens count on.
  var entries: Int { get }

  /// The id of a token by its text as the vocabulary spells it; nil when the vocabulary does not have it.
  func id(of token: String) -> Int32?

  /// Appends the tokens of a word that has at least one byte. It may stop when `sink` is full.
  func encode(_ word: UnsafeBufferPointer<UInt8>, _ scratch: inout ModelScratch, into sink: inout TokenSink)
}

/// Room that a model needs for a word, kept from word to word.
struct ModelScratch {
  var pairs = BytePairs.Scratch()
  var lattice = Unigram.Scratch()
  /// The words that were read before; nil where places are needed, which a cache does not have.
  var cache: WordCache?
}

/// Takes the tokens of a text in its order, and finds their places in it.
struct TokenSink {
  typealias Span = WordBuffer.Span

  private(set) var tokens: TokenList
  /// Reading stops as soon as there are more tokens than this.
  let limit: Int
  let isTraced: Bool
  /// The place of each byte of the word in the original text. Only when traced.
  var spans = UnsafeBufferPointer<Span>(start: nil, count: 0)

  init(limit: Int, capacity: Int, isTraced: Bool) {
    self.limit = limit
    self.isTraced = isTraced
    tokens = TokenList(capacity: min(limit, capacity) &+ 1, keepsSpans: isTraced)
  }

  var isFull: Bool { tokens.ids.count > limit }

  /// Appends a token for the bytes from `start` to `stop` of the word.
  @inline(__always)
  mutating func append(_ id: Int32, _ start: Int, _ stop: Int) {
    let place = isTraced ? place(start, stop) : (0, 0)
    tokens.append(id, place)
  }

  /// Appends a token for the bytes from `start` to `stop` of `text`, which are what the token is spelled with.
  mutating func append(_ id: Int32, spelledBy text: UnsafeBufferPointer<UInt8>, _ start: Int, _ stop: Int) {
    let place = isTraced ? place(start, stop) : (0, 0)
    tokens.append(id, spelling: text[start..<stop], place)
  }

  /// Removes the tokens from index `count` on.
  mutating func truncate(to count: Int) { tokens.truncate(to: count) }

  private func place(_ start: Int, _ stop: Int) -> Span {
    // The reference counts bytes that a model has dropped as if they were others, so that a token may reach beyond its
    // word.
    guard start >= 0, start < stop, stop <= spans.count else {
      let end = spans.last?.stop ?? 0
      return (end, end)
    }
    return (spans[start].start, spans[stop - 1].stop)
  }
}
