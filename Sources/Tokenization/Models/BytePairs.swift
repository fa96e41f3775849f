/// Byte-pair encoding (Sennrich et al. 2016, arXiv 1508.07909). A word starts as single characters, or as bytes; of all
/// neighbours that the model merges, those with the lowest rank become one token, and so on.
struct BytePairs: WordModel {
  struct Options: Sendable {
    /// The token of a character without an entry; nil where such characters are dropped.
    var unknown: Int32?
    /// Whether unknown characters next to each other become one token.
    var fusesUnknown = false
    /// Whether a word that is an entry is taken as a whole, without regard to the merges.
    var ignoresMerges = false
    /// What is put before every character but the first, and after the last.
    var prefix: [UInt8] = []
    var suffix: [UInt8] = []
  }

  private let vocabulary: Vocabulary
  let merges: PairTable
  private let options: Options
  /// The token of each byte, where characters without an entry are spelled by them.
  private let byteTokens: [Int32?]?
  /// The token of each ASCII character, −1 where it has none; used without prefix and suffix.
  private let asciiTokens: [Int32]
  /// Where words are the bytes that ByteLevel would spell, the token of each byte and the entries by their bytes.
  private var rawTokens: [Int32] = []
  private var rawVocabulary: Vocabulary?
  /// The pairs of scalars at which some merge joins two texts. Nothing is merged across any other.
  private let joints: ScalarPairs
  private let firstScalars: [UInt32]
  private let lastScalars: [UInt32]

  var texts: [String] { vocabulary.texts }
  var entries: Int { vocabulary.entries }

  func id(of token: String) -> Int32? { vocabulary.id(of: token) }

  /// - Parameter merges: the ids of two entries and of what they become, by rank.
  init(
    _ vocabulary: Vocabulary, merges: [(first: Int32, second: Int32, whole: Int32)], byteTokens: [Int32?]?,
    _ options: Options
  ) {
    self.vocabulary = vocabulary
    self.options = options
    self.byteTokens = byteTokens
    var table = PairTable(capacity: merges.count)
    var joints = Set<UInt64>()
    firstScalars = vocabulary.texts.map { $0.unicodeScalars.first?.value ?? 0 }
    lastScalars = vocabulary.texts.map { $0.unicodeScalars.last?.value ?? 0 }
    for (rank, merge) in merges.enumerated() {
      table.insert(merge.first, merge.second, rank: UInt32(truncatingIfNeeded: rank), id: merge.whole)
      joints.insert(ScalarPairs.pair(lastScalars[Int(merge.first)], firstScalars[Int(merge.second)]))
    }
    self.merges = table
    self.joints = ScalarPairs(joints)
    asciiTokens = (0..<128).map { vocabulary.id(of: [UInt8($0)]) ?? -1 }
  }

  /// The model for words of bytes as they are, instead of the characters that ``ByteAlphabet`` spells them with; nil
  /// where that would give other tokens.
  func raw() -> BytePairs? {
    guard options.prefix.isEmpty, options.suffix.isEmpty else { return nil }
    var tokens: [Int32] = []
    for character in ByteAlphabet.characters {
      guard let scalar = Unicode.Scalar(character), let id = vocabulary.id(of: String(Character(scalar))) else {
        return nil
      }
      tokens.append(id)
    }
    var result = self
    result.rawTokens = tokens
    if options.ignoresMerges { result.rawVocabulary = vocabulary.respelled(ByteAlphabet.bytes) }
    return result
  }

  /// Whether nothing is merged across a cut (``Cut``) whose space is `space`.
  func keepsCuts(space: UInt32) -> Bool {
    guard rawTokens.isEmpty, options.prefix.isEmpty, options.suffix.isEmpty, !options.ignoresMerges else {
      return false
    }
    var bytes: [UInt8] = []
    UTF8Scalars.append(space, to: &bytes)
    return vocabulary.id(of: bytes) != nil
      && Cut.letters.allSatisfy { asciiTokens[Int($0)] >= 0 && !joints.contains(UInt32($0), space) }
  }

  // MARK: Words

  /// The tokens of the word as far as it has been read, those without a merge across them being final.
  struct Scratch {
    var ids: [Int32] = []
    /// The number of bytes of each token; 0 for one that has become a part of the one before.
    var lengths: [Int] = []
    var ranks: [UInt64] = []
    var before: [Int] = []
    var after: [Int] = []
    var queue = MergeQueue()

    mutating func append(_ id: Int32, _ length: Int) {
      ids.append(id)
      lengths.append(length)
    }
    mutating func clear() {
      ids.removeAll(keepingCapacity: true)
      lengths.removeAll(keepingCapacity: true)
    }
  }

  func encode(_ word: UnsafeBufferPointer<UInt8>, _ scratch: inout ModelScratch, into sink: inout TokenSink) {
    if options.ignoresMerges, let id = (rawVocabulary ?? vocabulary).id(of: word) {
      return sink.append(id, 0, word.count)
    }
    scratch.pairs.clear()
    var start = 0
    if rawTokens.isEmpty {
      readCharacters(word, &scratch, &start, &sink)
    } else {
      for byte in word { scratch.pairs.append(rawTokens[Int(byte)], 1) }
    }
    finish(&scratch.pairs, &start, &sink)
  }

  /// Appends the tokens of a part of a word with which nothing else is merged. Where a text is not split into words, these
  /// parts are its words, and are looked up as words are.
  private func finish(
    _ part: UnsafeBufferPointer<UInt8>, _ scratch: inout ModelScratch, _ start: inout Int, _ sink: inout TokenSink
  ) {
    guard scratch.pairs.ids.count > 1, !options.ignoresMerges, scratch.cache != nil, let key = WordCache.Key(part)
    else {
      return finish(&scratch.pairs, &start, &sink)
    }
    if scratch.cache?.append(key, to: &sink) == true { return scratch.pairs.clear() }
    let before = sink.tokens.ids.count
    finish(&scratch.pairs, &start, &sink)
    scratch.cache?.insert(key, sink.tokens.ids[before...])
  }

  /// Merges the tokens that have been read, and appends them.
  private func finish(_ scratch: inout Scratch, _ start: inout Int, _ sink: inout TokenSink) {
    if scratch.ids.count > 1 {
      if scratch.ids.count <= 24 { mergeFew(&scratch) } else { mergeMany(&scratch) }
    }
    for (index, length) in scratch.lengths.enumerated() where length > 0 {
      sink.append(scratch.ids[index], start, start + length)
      start += length
    }
    scratch.clear()
  }

  private func readCharacters(
    _ word: UnsafeBufferPointer<UInt8>, _ scratch: inout ModelScratch, _ start: inout Int, _ sink: inout TokenSink
  ) {
    let isPlain = options.prefix.isEmpty && options.suffix.isEmpty
    var unknownLength = 0
    var hasUnknown = false
    // Where the part of the word begins that is being read, and whether all its characters have tokens.
    var partStart = 0
    var isKnown = true
    func endUnknown() {
      if hasUnknown, let unknown = options.unknown { scratch.pairs.append(unknown, unknownLength) }
      hasUnknown = false
    }
    var position = 0
    while position < word.count {
      let length = UTF8Scalars.scalar(in: word, at: position).length
      let next = position &+ length
      var id: Int32 = -1
      var spelled: [UInt8] = []
      if isPlain {
        id = length == 1 ? asciiTokens[Int(word[position])] : vocabulary.id(of: word[position..<next]) ?? -1
      } else {
        if position > 0 { spelled += options.prefix }
        spelled += word[position..<next]
        if next == word.count { spelled += options.suffix }
        id = vocabulary.id(of: spelled) ?? -1
      }
      if id >= 0 {
        endUnknown()
        if isPlain, let last = scratch.pairs.ids.last, !joins(last, id) {
          if isKnown {
            finish(UnsafeBufferPointer(rebasing: word[partStart..<position]), &scratch, &start, &sink)
          } else {
            finish(&scratch.pairs, &start, &sink)
          }
          if sink.isFull { return }
          partStart = position
          isKnown = true
        }
        scratch.pairs.append(id, length)
      } else if !appendBytes(isPlain ? Array(word[position..<next]) : spelled, &scratch.pairs) {
        isKnown = false
        if options.unknown != nil {
          if hasUnknown && !options.fusesUnknown { endUnknown() }
          unknownLength = hasUnknown ? unknownLength + length : length
          hasUnknown = true
        }
      }
      position = next
    }
    endUnknown()
  }

  /// Whether some merge could join a token that ends as `first` does to one that begins as `second` does.
  @inline(__always)
  private func joins(_ first: Int32, _ second: Int32) -> Bool {
    joints.contains(lastScalars[Int(first)], firstScalars[Int(second)])
  }

  /// Appends the tokens of the bytes of a character; returns false when some have none.
  private func appendBytes(_ bytes: [UInt8], _ scratch: inout Scratch) -> Bool {
    guard let byteTokens, bytes.allSatisfy({ byteTokens[Int($0)] != nil }) else { return false }
    for byte in bytes { scratch.append(byteTokens[Int(byte)] ?? 0, 1) }
    return true
  }
}
