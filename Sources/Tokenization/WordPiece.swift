import JSON

/// WordPiece (Schuster and Nakajima 2012; Wu et al. 2016, arXiv 1609.08144). The vocabulary has word starts and
/// continuations; a word is split into the longest entry that it starts with, the longest continuation that fits next,
/// and so on.
struct WordPiece: SubwordModel {
  let texts: [String]
  let entries: Int
  /// A word of more characters becomes the unknown token as a whole.
  let maximumCharacters: Int
  private let unknown: Int32
  private let trie: ByteTrie
  /// The roots of the two sets in the trie.
  private let starts: UInt32
  private let continuations: UInt32

  /// - Parameters:
  ///   - tokens: the text and the id of each entry, in the order of the file.
  ///   - prefix: what the vocabulary puts before the text of a continuation.
  /// - Returns: nil when the vocabulary does not have `unknownToken`.
  init?(tokens: [(text: String, id: Int32)], unknownToken: String, prefix: String, maximumCharacters: Int) {
    precondition(maximumCharacters > 0, "a word needs room for a character")
    var trie = ByteTrie()
    starts = trie.addRoot()
    continuations = trie.addRoot()
    self.maximumCharacters = maximumCharacters
    entries = tokens.count
    var texts = [String](repeating: "", count: (tokens.map { Int($0.id) }.max() ?? -1) + 1)
    var found: Int32?
    let marker = Array(prefix.utf8)
    for (text, id) in tokens {
      texts[Int(id)] = text
      if text == unknownToken { found = id }
      let bytes = Array(text.utf8)
      trie.insert(bytes, root: starts, value: id)
      if bytes.starts(with: marker) { trie.insert(bytes.dropFirst(marker.count), root: continuations, value: id) }
    }
    guard let found else { return nil }
    unknown = found
    self.texts = texts
    self.trie = trie
  }

  func id(of token: String) -> Int32? {
    var node = starts
    for byte in token.utf8 {
      node = trie.step(node, byte)
      if node == ByteTrie.none { return nil }
    }
    let value = trie.value(at: node)
    return value >= 0 ? value : nil
  }

  /// Appends the pieces of a word, or the unknown token when a rest of the word has none.
  @inline(__always)
  func encode(_ word: WordBuffer, into tokens: inout TokenList) {
    if word.isTooLong { return tokens.append(unknown, (word.start, word.stop)) }
    let before = tokens.ids.count
    let bytes = word.bytes
    var start = 0
    while start < bytes.count {
      guard let piece = piece(bytes, from: start) else {
        tokens.truncate(to: before)
        return tokens.append(unknown, (word.start, word.stop))
      }
      tokens.append(piece.id, word.span(start..<piece.end))
      start = piece.end
    }
  }

  /// The longest piece of `word` that starts at `start`: its id and its end; nil when there is none.
  @inline(__always)
  private func piece(_ word: UnsafeBufferPointer<UInt8>, from start: Int) -> (id: Int32, end: Int)? {
    var node = start == 0 ? starts : continuations
    var best: (id: Int32, end: Int)?
    var at = start
    while at < word.count {
      node = trie.step(node, word[at])
      if node == ByteTrie.none { break }
      at &+= 1
      let value = trie.value(at: node)
      if value >= 0 { best = (value, at) }
    }
    return best
  }
}

extension WordPiece: WordModel {
  func encode(_ word: UnsafeBufferPointer<UInt8>, _ scratch: inout ModelScratch, into sink: inout TokenSink) {
    var characters = 0
    for byte in word where byte & 0xC0 != 0x80 { characters &+= 1 }
    if characters > maximumCharacters { return sink.append(unknown, 0, word.count) }
    let before = sink.tokens.ids.count
    var start = 0
    while start < word.count {
      guard let piece = piece(word, from: start) else {
        sink.truncate(to: before)
        return sink.append(unknown, 0, word.count)
      }
      sink.append(piece.id, start, piece.end)
      start = piece.end
    }
  }
}

extension WordPiece {
  /// Reads the section `model` of tokenizer.json.
  static func read(_ section: JSONField) throws(FieldError) -> WordPiece {
    let tokens = try Vocabulary.entries(of: section.required("vocab"))
    let unknown = try section.required("unk_token")
    let unknownToken = try unknown.string()
    let model = WordPiece(
      tokens: tokens, unknownToken: unknownToken,
      prefix: try section.required("continuing_subword_prefix").string(),
      maximumCharacters: try section.required("max_input_chars_per_word").integer(in: 1...10_000))
    guard let model else { throw unknown.refused("\"\(unknownToken)\" is not in the vocabulary") }
    return model
  }
}
