import JSON

/// A token that is looked for in the text before the text is split into words.
struct AddedToken: Sendable {
  var id: Int32
  var content: String
  /// Whether it is matched in the normalised text instead of the raw one.
  var normalized = false
  /// Whether it is matched only where no word character stands next to it.
  var singleWord = false
  /// Whether the white space before it belongs to the match.
  var stripsLeft = false
  /// Whether the white space after it belongs to the match.
  var stripsRight = false
}

extension AddedToken {
  /// An entry of `added_tokens` in tokenizer.json or of `added_tokens_decoder` in tokenizer_config.json.
  init(id: Int32, _ entry: JSONField) throws(FieldError) {
    self.id = id
    content = try entry.required("content").string()
    normalized = try entry.optional("normalized")?.bool() ?? false
    singleWord = try entry.optional("single_word")?.bool() ?? false
    stripsLeft = try entry.optional("lstrip")?.bool() ?? false
    stripsRight = try entry.optional("rstrip")?.bool() ?? false
  }
}

/// Where an added token was found in a text.
struct AddedMatch {
  var id: Int32
  /// Its first byte, including the white space before it that belongs to the match.
  var start: Int
  /// One past its last byte, including the white space after it that belongs to the match.
  var stop: Int
  /// One past the last byte of the token itself, without white space.
  var contentStop: Int

  /// Whether all of it is white space that belongs to the match before it. It is no token then.
  var isEmpty: Bool { start >= stop }
}

/// A set of added tokens. Of those that start at one place, the longest is matched.
struct AddedTokens: Sendable {
  private var tokens: [AddedToken] = []
  private var trie = ByteTrie()
  private let root: UInt32
  private var starts = [Bool](repeating: false, count: 256)

  init() {
    root = trie.addRoot()
  }

  var isEmpty: Bool { tokens.isEmpty }

  /// Adds a token; one without any bytes is ignored.
  ///
  /// - Parameter spelling: the bytes to look for: those of the content, normalised where the token asks for it.
  mutating func insert(_ token: AddedToken, spelling: some Collection<UInt8>) {
    guard let first = spelling.first else { return }
    starts[Int(first)] = true
    trie.insert(spelling, root: root, value: Int32(truncatingIfNeeded: tokens.count))
    tokens.append(token)
  }

  /// Whether a token may start with `byte`.
  func mayStart(with byte: UInt8) -> Bool { starts[Int(byte)] }

  /// What was found at a position of the text.
  enum Finding {
    case none
    /// A token with `singleWord` next to a word character; no other token may start before `stop`.
    case refused(stop: Int)
    case match(AddedMatch)
  }

  /// Looks for a token that starts at `position`.
  ///
  /// - Parameter floor: the end of the previous match; white space before it does not belong to this one.
  func find(in text: UnsafeBufferPointer<UInt8>, at position: Int, floor: Int) -> Finding {
    var node = root
    var best: (index: Int32, stop: Int)?
    var at = position
    while at < text.count {
      node = trie.step(node, text[at])
      if node == ByteTrie.none { break }
      at += 1
      let value = trie.value(at: node)
      if value >= 0 { best = (value, at) }
    }
    guard let best else { return .none }
    let token = tokens[Int(best.index)]
    if token.singleWord {
      let before = UTF8Scalars.scalar(in: text, before: position)
      let after = best.stop < text.count ? UTF8Scalars.scalar(in: text, at: best.stop) : nil
      if isWordCharacter(before?.value) || isWordCharacter(after?.value) { return .refused(stop: best.stop) }
    }
    var match = AddedMatch(id: token.id, start: position, stop: best.stop, contentStop: best.stop)
    if token.stripsLeft {
      while match.start > floor, let space = UTF8Scalars.scalar(in: text, before: match.start), isSpace(space.value) {
        match.start -= space.length
      }
      match.start = max(match.start, floor)
    }
    if token.stripsRight {
      while match.stop < text.count {
        let space = UTF8Scalars.scalar(in: text, at: match.stop)
        guard isSpace(space.value) else { break }
        match.stop += space.length
      }
    }
    return .match(match)
  }
}

private func isSpace(_ scalar: UInt32) -> Bool {
  UnicodeTables.shared.properties(of: scalar).contains(.space)
}

private func isWordCharacter(_ scalar: UInt32?) -> Bool {
  scalar.map(WordCharacters.shared.contains) ?? false
}
