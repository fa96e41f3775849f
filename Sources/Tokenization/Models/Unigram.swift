import JSON

/// The unigram language model (Kudo 2018, arXiv 1804.10959): of all ways to split a word into entries of the vocabulary,
/// the one whose scores have the highest sum, found by the Viterbi algorithm.
struct Unigram: WordModel {
  private let vocabulary: Vocabulary
  private let scores: [Double]
  private let unknown: Int32
  /// The score of a character that no entry has alone.
  private let unknownScore: Double
  /// The token of each byte, where characters without an entry are spelled by them.
  private let byteTokens: [Int32?]?

  var texts: [String] { vocabulary.texts }
  let entries: Int

  /// The best way to each place of the word from the last place that all ways share.
  struct Scratch {
    struct Node {
      var score = 0.0
      var id: Int32 = -1
      /// Where the last token begins; -1 as long as no way has been found.
      var start = -1
    }
    fileprivate var nodes: [Node] = []
    fileprivate var path: [Int] = []
  }

  func id(of token: String) -> Int32? { vocabulary.id(of: token) }

  func encode(_ word: UnsafeBufferPointer<UInt8>, _ scratch: inout ModelScratch, into sink: inout TokenSink) {
    encode(word, &scratch.lattice, into: &sink)
  }

  /// Where no entry crosses a place, every way leads through it. The tokens before it are then final, so that the lattice
  /// stays small however long the word is. Scores go on from there, because sums from elsewhere would be rounded
  /// otherwise.
  private func encode(_ word: UnsafeBufferPointer<UInt8>, _ scratch: inout Scratch, into sink: inout TokenSink) {
    var base = 0
    var reach = 0
    var position = 0
    // The start of characters without an entry, which become one token.
    var unknownStart: Int?
    scratch.nodes.removeAll(keepingCapacity: true)
    scratch.nodes.append(Scratch.Node())
    while position < word.count {
      if position == reach && position > base {
        flush(word, base, position, &unknownStart, &scratch, &sink)
        if sink.isFull { return }
        let score = scratch.nodes[position - base].score
        scratch.nodes.removeAll(keepingCapacity: true)
        scratch.nodes.append(Scratch.Node(score: score))
        base = position
      }
      let length = UTF8Scalars.scalar(in: word, at: position).length
      let before = scratch.nodes[position - base].score
      var isAlone = false
      vocabulary.prefixes(of: word, from: position) { id, end in
        offer(id, scores[Int(id)] + before, position, end, base, &scratch.nodes)
        if end > reach { reach = end }
        if end == position + length { isAlone = true }
      }
      if !isAlone {
        let end = position + length
        offer(unknown, unknownScore + before, position, end, base, &scratch.nodes)
        if end > reach { reach = end }
      }
      position += length
    }
    flush(word, base, word.count, &unknownStart, &scratch, &sink)
    if let unknownStart { append(unknownFrom: unknownStart, word.count, word, &sink) }
  }

  @inline(__always)
  private func offer(
    _ id: Int32, _ score: Double, _ start: Int, _ end: Int, _ base: Int, _ nodes: inout [Scratch.Node]
  ) {
    let index = end &- base
    while nodes.count <= index { nodes.append(Scratch.Node()) }
    if nodes[index].start < 0 || score > nodes[index].score {
      nodes[index] = Scratch.Node(score: score, id: id, start: start)
    }
  }

  /// Appends the tokens of the best way from `base` to `end`.
  private func flush(
    _ word: UnsafeBufferPointer<UInt8>, _ base: Int, _ end: Int, _ unknownStart: inout Int?,
    _ scratch: inout Scratch, _ sink: inout TokenSink
  ) {
    var at = end
    scratch.path.removeAll(keepingCapacity: true)
    while at > base {
      scratch.path.append(at)
      at = scratch.nodes[at - base].start
    }
    for stop in scratch.path.reversed() {
      let node = scratch.nodes[stop - base]
      if node.id == unknown {
        if unknownStart == nil { unknownStart = node.start }
        continue
      }
      if let start = unknownStart { append(unknownFrom: start, node.start, word, &sink) }
      unknownStart = nil
      sink.append(node.id, node.start, stop)
    }
  }

  private func append(
    unknownFrom start: Int, _ stop: Int, _ word: UnsafeBufferPointer<UInt8>, _ sink: inout TokenSink
  ) {
    let bytes = word[start..<stop]
    if let id = vocabulary.id(of: bytes) { return sink.append(id, start, stop) }
    if let byteTokens, bytes.allSatisfy({ byteTokens[Int($0)] != nil }) {
      for byte in bytes { sink.append(byteTokens[Int(byte)] ?? unknown, start, stop) }
    } else {
      sink.append(unknown, spelledBy: word, start, stop)
    }
  }
}

extension Unigram {
  /// Reads the section `model` of tokenizer.json.
  init(_ section: JSONField) throws(FieldError) {
    let field = try section.required("vocab")
    var tokens: [(text: String, id: Int32)] = []
    var scores: [Double] = []
    guard let elements = field.value.elements else { throw field.refused("must be an array") }
    guard elements.count <= 10_000_000 else { throw field.refused("has more than 10000000 entries") }
    for (index, element) in elements.enumerated() {
      guard let pair = element.elements, pair.count == 2, let text = pair[0].string, let score = pair[1].double else {
        throw FieldError(key: "\(field.key)[\(index)]", message: "must be a text and a score")
      }
      tokens.append((text, Int32(truncatingIfNeeded: index)))
      scores.append(score)
    }
    guard !tokens.isEmpty else { throw field.refused("must not be empty") }
    try field.refuseBeyondTrie(tokens.map(\.text))
    // Without an unknown token, a text with a character that no entry has could not be read.
    unknown = Int32(truncatingIfNeeded: try section.required("unk_id").integer(in: 0...tokens.count - 1))
    vocabulary = Vocabulary(tokens)
    entries = tokens.count
    unknownScore = (scores.min() ?? 0) - 10
    self.scores = scores
    byteTokens = try section.optional("byte_fallback")?.bool() == true ? vocabulary.byteTokens() : nil
  }
}
