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
    tokens.append(id, place(start, stop))
  }

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

/// The vocabulary of a model: texts by id and ids by text.
struct Vocabulary: Sendable {
  private(set) var texts: [String]
  let entries: Int
  private var trie = ByteTrie()
  private let root: UInt32

  /// - Parameter tokens: the text and the id of each entry; of two with the same text, the later one counts.
  init(_ tokens: [(text: String, id: Int32)]) {
    root = trie.addRoot()
    texts = [String](repeating: "", count: (tokens.map { Int($0.id) }.max() ?? -1) + 1)
    entries = tokens.count
    for (text, id) in tokens {
      texts[Int(id)] = text
      trie.insert(text.utf8, root: root, value: id)
    }
  }

  /// The same ids for other spellings, of those that `spell` does not return nil for.
  func respelled(_ spell: (String) -> [UInt8]?) -> Vocabulary {
    var result = Vocabulary([])
    for (id, text) in texts.enumerated() where !text.isEmpty {
      if let bytes = spell(text) {
        result.trie.insert(bytes, root: result.root, value: Int32(truncatingIfNeeded: id))
      }
    }
    result.texts = texts
    return result
  }

  func id(of bytes: some Collection<UInt8>) -> Int32? {
    var node = root
    for byte in bytes {
      node = trie.step(node, byte)
      if node == ByteTrie.none { return nil }
    }
    let value = trie.values[Int(node)]
    return value >= 0 ? value : nil
  }

  func id(of text: String) -> Int32? { id(of: text.utf8) }

  /// Calls `body` with the id and the end of each entry that `word` has at `start`, shortest first.
  @inline(__always)
  func prefixes(of word: UnsafeBufferPointer<UInt8>, from start: Int, _ body: (Int32, Int) -> Void) {
    var node = root
    var at = start
    while at < word.count {
      node = trie.step(node, word[at])
      if node == ByteTrie.none { return }
      at &+= 1
      let value = trie.values[Int(node)]
      if value >= 0 { body(value, at) }
    }
  }

  /// The tokens `<0x00>` to `<0xFF>` that spell single bytes; nil for those that the vocabulary does not have.
  func byteTokens() -> [Int32?] {
    let digits = Array("0123456789ABCDEF".utf8)
    return (0..<256).map { byte in
      id(of: Array("<0x".utf8) + [digits[byte >> 4], digits[byte & 15]] + Array(">".utf8))
    }
  }
}
