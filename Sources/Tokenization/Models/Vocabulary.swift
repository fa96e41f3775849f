import JSON

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

  func id(of bytes: some Collection<UInt8>) -> Int32? { id(of: bytes, and: EmptyCollection()) }

  /// The id of the entry that two strings make together.
  func id(of bytes: some Collection<UInt8>, and more: some Collection<UInt8>) -> Int32? {
    var node = root
    for byte in bytes {
      node = trie.step(node, byte)
      if node == ByteTrie.none { return nil }
    }
    for byte in more {
      node = trie.step(node, byte)
      if node == ByteTrie.none { return nil }
    }
    let value = trie.value(at: node)
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
      let value = trie.value(at: node)
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

extension Vocabulary {
  /// The entries of an object of ids by texts, in the order of the file.
  static func entries(of field: JSONField) throws(FieldError) -> [(text: String, id: Int32)] {
    guard let members = field.value.members else { throw field.refused("must be an object") }
    var tokens: [(text: String, id: Int32)] = []
    tokens.reserveCapacity(members.count)
    for (text, value) in members {
      guard let id = value.integer, (0...9_999_999).contains(id) else {
        throw field.refused(text, "must be an integer from 0 to 9999999")
      }
      tokens.append((text, Int32(truncatingIfNeeded: id)))
    }
    try field.refuseBeyondTrie(tokens.map(\.text))
    return tokens
  }
}
