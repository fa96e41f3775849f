/// The model: a vocabulary of word starts and of continuations.
struct WordPiece: Sendable {
  let unknown: Int32
  /// A longer word is the unknown token as a whole.
  let maximumCharacters: Int
  /// Text of each id; empty where an id has none.
  private(set) var texts: [String]
  private var trie = ByteTrie()
  private let starts: UInt32
  private let continuations: UInt32

  /// - Parameter tokens: text and id of each entry, in the order of the file.
  init(
    tokens: [(text: String, id: Int32)], unknownToken: String, prefix: String, maximumCharacters: Int
  ) throws(TokenizerError) {
    starts = trie.addRoot()
    continuations = trie.addRoot()
    self.maximumCharacters = maximumCharacters
    texts = [String](repeating: "", count: (tokens.map { Int($0.id) }.max() ?? -1) + 1)
    var found: Int32?
    let marker = Array(prefix.utf8)
    for (text, id) in tokens {
      texts[Int(id)] = text
      if text == unknownToken { found = id }
      let bytes = Array(text.utf8)
      trie.insert(bytes, root: starts, value: id)
      if bytes.starts(with: marker) { trie.insert(bytes.dropFirst(marker.count), root: continuations, value: id) }
    }
    guard let found else {
      throw TokenizerError(key: "model.unk_token", message: "\"\(unknownToken)\" is not in the vocabulary")
    }
    unknown = found
  }

  /// Names an id that the model's own vocabulary does not have.
  mutating func name(_ id: Int32, _ text: String) {
    if Int(id) >= texts.count { texts += [String](repeating: "", count: Int(id) + 1 - texts.count) }
    texts[Int(id)] = text
  }

  /// The longest piece of `word` from `start` on: its id and where it ends, nil when there is none.
  @inline(__always)
  func piece(_ word: UnsafeBufferPointer<UInt8>, from start: Int) -> (id: Int32, end: Int)? {
    var node = start == 0 ? starts : continuations
    var best: (id: Int32, end: Int)?
    var at = start
    while at < word.count {
      node = trie.step(node, word[at])
      if node == ByteTrie.none { break }
      at &+= 1
      let value = trie.values[Int(node)]
      if value >= 0 { best = (value, at) }
    }
    return best
  }
}
