/// All that tokenizer.json says about how texts become ids, by its sections: added tokens, normaliser, pre-tokeniser and
/// model, in any combination. ``Pipeline`` does the same for BERT's combination alone, and faster.
final class TextPipeline: Sendable {
  let normalizer: Normalizer
  let preTokenizer: PreTokenizer
  let model: any WordModel
  /// Added tokens that are matched in the original text.
  let rawTokens: AddedTokens
  /// Added tokens that are matched in the normalised text.
  let normalizedTokens: AddedTokens
  /// The text of each id, including those of the added tokens; empty where an id has none.
  let texts: [String]
  /// Whether a long text may be cut where ``Cut`` says, and the pieces be read one by one.
  let isCuttable: Bool
  /// The number of stages of the pre-tokeniser.
  let stageCount: Int
  /// The words that were read before.
  let caches = WordCaches()
  /// Whether the last stage of the pre-tokeniser leaves bytes as they are, because the model reads them so.
  let hasRawModel: Bool

  init(normalizer: Normalizer, preTokenizer: PreTokenizer, model: any WordModel, added: [AddedToken]) {
    self.normalizer = normalizer
    self.preTokenizer = preTokenizer
    stageCount = preTokenizer.stages.count
    var raw = AddedTokens()
    var normalized = AddedTokens()
    var texts = model.texts
    var isCuttable = normalizer.keepsCuts && preTokenizer.keepsCuts
    for token in added {
      let id = Int(token.id)
      if id >= texts.count { texts += [String](repeating: "", count: id + 1 - texts.count) }
      texts[id] = token.content
      guard token.normalized else {
        raw.insert(token, spelling: token.content.utf8)
        continue
      }
      let content = Array(token.content.utf8)
      let spelling = content.withUnsafeBufferPointer { bytes in
        normalizer.apply(to: AlignedText(bytes, 0..<bytes.count, isTraced: false)).bytes
      }
      normalized.insert(token, spelling: spelling)
      if Cut.isWithin(spelling) || token.singleWord || token.stripsLeft || token.stripsRight { isCuttable = false }
    }
    let pairs = model as? BytePairs
    if preTokenizer.endsInBytes, let rawModel = pairs?.raw() {
      self.model = rawModel
      hasRawModel = true
    } else {
      self.model = model
      hasRawModel = false
    }
    if isCuttable, !preTokenizer.splitsAtCuts(normalizer.cutSpaces) {
      // Neither space may be joined to a letter.
      isCuttable = Cut.spaces.allSatisfy { space in pairs?.keepsCuts(space: space) == true }
    }
    self.isCuttable = isCuttable
    rawTokens = raw
    normalizedTokens = normalized
    self.texts = texts
  }

  /// The tokens of a text, read until there are more than `limit` of them.
  func scan(_ text: String, limit: Int, isTraced: Bool) -> TokenList {
    var text = text
    return text.withUTF8 { bytes in
      var reader = TextReader(self, bytes, limit: limit, isTraced: isTraced)
      return reader.run()
    }
  }
}

/// One pass over a text: its segments between added tokens, in pieces where it is long, are normalised, searched for added
/// tokens, split into words and read by the model.
struct TextReader {
  typealias Span = WordBuffer.Span

  /// A part of a normalised text.
  struct Piece {
    var bytes: UnsafeBufferPointer<UInt8>
    /// The place of each byte in the original text; empty when places are not needed.
    var spans: UnsafeBufferPointer<Span>
    /// Whether it begins where a long text was cut. Nothing is put before it.
    var isCut: Bool

    func part(_ range: Range<Int>) -> Piece {
      Piece(
        bytes: UnsafeBufferPointer(rebasing: bytes[range]),
        spans: spans.isEmpty ? spans : UnsafeBufferPointer(rebasing: spans[range]),
        isCut: isCut && range.lowerBound == 0)
    }
  }

  let pipeline: TextPipeline
  private let text: UnsafeBufferPointer<UInt8>
  private let isTraced: Bool
  var sink: TokenSink
  var scratch = ModelScratch()

  init(_ pipeline: TextPipeline, _ text: UnsafeBufferPointer<UInt8>, limit: Int, isTraced: Bool) {
    self.pipeline = pipeline
    self.text = text
    self.isTraced = isTraced
    sink = TokenSink(limit: limit, capacity: text.count, isTraced: isTraced)
    // A cache has no places.
    if !isTraced { scratch.cache = pipeline.caches.take() }
  }

  /// The least length of a piece of a long text.
  private static let pieceLength = 2048

  /// Reads the text, and returns its tokens.
  mutating func run() -> TokenList {
    read()
    if let cache = scratch.cache.take() { pipeline.caches.put(cache) }
    return sink.tokens
  }

  private mutating func read() {
    var start = 0
    var isFirst = true
    var position = 0
    var searchFrom = 0
    // To keep places takes longer, and where only the start of the text needs them, that piece is short.
    var leastLength = pipeline.preTokenizer.needsPlaces && !isTraced ? 2 : Self.pieceLength
    let tokens = pipeline.rawTokens
    while position < text.count {
      if pipeline.isCuttable, position - start >= leastLength, isCut(at: position - 2) {
        // No added token begins at the space or at the character behind it.
        read(start..<position - 2, isFirst: isFirst, isLast: false)
        if sink.isFull { return }
        start = position - 2
        isFirst = false
        leastLength = Self.pieceLength
      }
      guard position >= searchFrom, tokens.mayStart(with: text[position]) else {
        position &+= 1
        continue
      }
      switch tokens.find(in: text, at: position, floor: start) {
      case .none: position &+= 1
      case .refused(let stop):
        searchFrom = stop
        position &+= 1
      case .match(let match):
        if match.start > start { read(start..<match.start, isFirst: isFirst, isLast: true) }
        if sink.isFull { return }
        append(match)
        if sink.isFull { return }
        position = match.contentStop
        searchFrom = match.contentStop
        start = match.stop
        isFirst = true
      }
    }
    if start < text.count { read(start..<text.count, isFirst: isFirst, isLast: true) }
  }

  /// Whether the text may be cut at `place`.
  private func isCut(at place: Int) -> Bool {
    place > 0 && text[place] == 0x20 && Cut.isLetter(text[place - 1]) && Cut.isLetter(text[place + 1])
  }

  /// Appends an added token that was found in the original text.
  private mutating func append(_ match: AddedMatch) {
    if match.isEmpty { return }
    let spans = [Span](repeating: (match.start, match.stop), count: isTraced ? match.stop - match.start : 0)
    spans.withUnsafeBufferPointer { spans in
      sink.spans = spans
      sink.append(match.id, spelledBy: UnsafeBufferPointer(rebasing: text[match.start..<match.stop]), 0, spans.count)
    }
  }

  /// Reads a piece of the original text.
  private mutating func read(_ range: Range<Int>, isFirst: Bool, isLast: Bool) {
    let needsPlaces = isTraced || range.lowerBound == 0 && pipeline.preTokenizer.needsPlaces
    let original = AlignedText(text, range, isTraced: needsPlaces)
    let normalized = pipeline.normalizer.apply(to: original, isFirst: isFirst, isLast: isLast)
    withPiece(normalized.bytes, normalized.spans, isCut: !isFirst) { reader, piece in
      if reader.pipeline.normalizedTokens.isEmpty { return reader.split(piece, at: 0) }
      reader.extract(piece)
    }
  }

  /// Calls `body` with the first bytes of a buffer, as many as `fill` writes into it and returns; there is room for
  /// `capacity`. Places are not needed.
  mutating func withPiece(
    capacity: Int, isCut: Bool, _ fill: (UnsafeMutableBufferPointer<UInt8>) -> Int,
    then body: (inout TextReader, Piece) -> Void
  ) {
    withUnsafeTemporaryAllocation(of: UInt8.self, capacity: capacity) { room in
      let bytes = UnsafeBufferPointer(rebasing: room[..<fill(room)])
      body(&self, Piece(bytes: bytes, spans: UnsafeBufferPointer(start: nil, count: 0), isCut: isCut))
    }
  }

  /// Calls `body` with a piece that consists of these bytes and places.
  mutating func withPiece(
    _ bytes: [UInt8], _ spans: [Span], isCut: Bool, _ body: (inout TextReader, Piece) -> Void
  ) {
    if bytes.isEmpty { return }
    bytes.withUnsafeBufferPointer { bytes in
      spans.withUnsafeBufferPointer { spans in
        body(&self, Piece(bytes: bytes, spans: spans, isCut: isCut))
      }
    }
  }

  /// Finds the added tokens of a normalised text.
  private mutating func extract(_ piece: Piece) {
    let tokens = pipeline.normalizedTokens
    var start = 0
    var position = 0
    var searchFrom = 0
    while position < piece.bytes.count && !sink.isFull {
      guard position >= searchFrom, tokens.mayStart(with: piece.bytes[position]) else {
        position &+= 1
        continue
      }
      switch tokens.find(in: piece.bytes, at: position, floor: start) {
      case .none: position &+= 1
      case .refused(let stop):
        searchFrom = stop
        position &+= 1
      case .match(let match):
        if match.start > start { split(piece.part(start..<match.start), at: 0) }
        if sink.isFull { return }
        if !match.isEmpty {
          sink.spans = piece.spans
          sink.append(match.id, spelledBy: piece.bytes, match.start, match.stop)
        }
        position = match.contentStop
        searchFrom = match.contentStop
        start = match.stop
      }
    }
    if start < piece.bytes.count && !sink.isFull { split(piece.part(start..<piece.bytes.count), at: 0) }
  }

  /// Runs the model on a word.
  mutating func encode(_ word: Piece) {
    if scratch.cache != nil, let key = WordCache.Key(word.bytes) {
      if scratch.cache?.append(key, to: &sink) == true { return }
      let before = sink.tokens.ids.count
      pipeline.model.encode(word.bytes, &scratch, into: &sink)
      // A model may stop before the end of a word when there are enough tokens.
      if !sink.isFull { scratch.cache?.insert(key, sink.tokens.ids[before...]) }
      return
    }
    sink.spans = word.spans
    pipeline.model.encode(word.bytes, &scratch, into: &sink)
  }
}
