/// One pass over a text, from left to right, that looks for added tokens, normalises, splits into words and runs the
/// model at once. A long text therefore costs no more than the part of it that is needed.
struct Scan<Model: SubwordModel> {
  typealias Span = WordBuffer.Span

  let pipeline: Pipeline
  private let model: Model
  let text: UnsafeBufferPointer<UInt8>
  /// Reading stops as soon as there are more tokens than this.
  let limit: Int
  var word: WordBuffer
  private(set) var found: TokenList

  var position = 0
  /// The start of the last scalar across which marks do not move, if it may have a decomposition; -1 otherwise.
  var base = -1
  /// The end of that scalar, or the start of the segment: canonical ordering may move marks from here on.
  var marksStart = 0
  /// The start of the segment between added tokens.
  private var segmentStart = 0
  /// No added token may start before this place.
  private var addedFloor = 0
  /// The normalised text of the segment, when added tokens are looked for in it; nil otherwise.
  private var normalized: NormalizedText?

  /// The tokens of a text, read until there are more than `limit` of them.
  ///
  /// - Parameter isTraced: whether the places of the tokens in the text are needed as well.
  static func run(
    _ pipeline: Pipeline, _ model: Model, _ text: String, limit: Int, isTraced: Bool
  ) -> TokenList {
    var text = text
    let characters = model.maximumCharacters
    return text.withUTF8 { bytes in
      withUnsafeTemporaryAllocation(of: UInt8.self, capacity: characters * 4) { room in
        // SAFETY: both buffers have the sizes that WordBuffer requires, and outlive the scan.
        withUnsafeTemporaryAllocation(of: Span.self, capacity: isTraced ? characters * 4 : 0) { spans in
          let word = WordBuffer(room, spans, maximumCharacters: characters)
          var scan = Scan(pipeline, model, bytes, limit: limit, word: word)
          scan.run()
          return scan.found
        }
      }
    }
  }

  /// The normalised bytes of a short text. Added tokens in it are not looked for.
  static func normalize(_ text: String, _ pipeline: Pipeline, _ model: Model) -> [UInt8] {
    var text = text
    return text.withUTF8 { bytes in
      let empty = WordBuffer(.init(start: nil, count: 0), .init(start: nil, count: 0), maximumCharacters: 0)
      var scan = Scan(pipeline, model, bytes, limit: 0, word: empty)
      return scan.normalizedBytes()
    }
  }

  private init(
    _ pipeline: Pipeline, _ model: Model, _ text: UnsafeBufferPointer<UInt8>, limit: Int, word: WordBuffer
  ) {
    self.pipeline = pipeline
    self.model = model
    self.text = text
    self.limit = limit
    self.word = word
    found = TokenList(capacity: min(limit, text.count) &+ 1, keepsSpans: word.isTraced)
    if !pipeline.normalizedTokens.isEmpty { normalized = NormalizedText() }
  }

  /// Whether the limit is passed.
  var isFull: Bool { found.ids.count > limit }

  /// Reads until the text ends or the limit is passed.
  private mutating func run() {
    while position < text.count && !isFull {
      let byte = text[position]
      if pipeline.rawTokens.mayStart(with: byte), position >= addedFloor, takeAddedToken() { continue }
      // White space that belongs to the match of the token before it is skipped.
      if position < segmentStart {
        position &+= 1
        continue
      }
      if byte < 0x80 && normalized == nil {
        takeASCII(byte)
      } else {
        let (scalar, length) = UTF8Scalars.scalar(in: text, at: position)
        take(scalar, (position, position &+ length))
      }
    }
    if !isFull { endSegment() }
  }

  /// The normalised bytes of the whole text.
  private mutating func normalizedBytes() -> [UInt8] {
    normalized = NormalizedText()
    while position < text.count {
      let (scalar, length) = UTF8Scalars.scalar(in: text, at: position)
      take(scalar, (position, position + length))
    }
    return normalized?.bytes ?? []
  }

  /// Reads ASCII characters up to the first byte that is not ASCII or that an added token may start with.
  @inline(__always)
  private mutating func takeASCII(_ first: UInt8) {
    var byte = first
    let start = position
    repeat {
      let action = pipeline.ascii[Int(byte)]
      if action.isSpecial {
        settleMarks(behind: start)
        return take(UInt32(byte), (position, position &+ 1))
      }
      if action.isLetter {
        word.append(ascii: action.output, at: position)
      } else {
        endWord()
        if action.isPunctuation {
          word.append(ascii: action.output, at: position)
          endWord()
        }
        if isFull { return }
      }
      position &+= 1
    } while next(&byte) && byte < 0x80 && !pipeline.ascii[Int(byte)].mayStartToken
    settleMarks(behind: start)
  }

  /// Reads the byte at `position`; returns false at the end of the text.
  @inline(__always)
  private func next(_ byte: inout UInt8) -> Bool {
    if position >= text.count { return false }
    byte = text[position]
    return true
  }

  /// Records that the text from `start` to here is ASCII: no mark moves across it, and its decomposition has none.
  private mutating func settleMarks(behind start: Int) {
    if position == start { return }
    base = -1
    marksStart = position
  }

  /// Reads a scalar of any kind.
  private mutating func take(_ scalar: UInt32, _ span: Span) {
    let fold = pipeline.folding.fold(scalar)
    position = span.stop
    switch fold.kind {
    case .drop:
      if fold.payload == 0 { return }
      base = -1
      marksStart = span.stop
      return
    case .reorder:
      position = span.start
      return takeMarks()
    case .sequence:
      let start = Int(fold.payload >> 4)
      for bits in pipeline.folding.sequences[start..<start + Int(fold.payload & 15)] {
        put(Fold(bits: bits), scalar, span)
      }
    case .hangul:
      for jamo in UnicodeTables.jamo(of: scalar) { put(Fold(.letter, jamo), scalar, span) }
    default:
      put(fold, scalar, span)
    }
    base = span.start
    marksStart = span.stop
  }

  /// Adds a scalar of normalised text: `fold.payload`, or `scalar` when the payload is 0.
  mutating func put(_ fold: Fold, _ scalar: UInt32, _ span: Span) {
    let output = fold.payload == 0 ? scalar : fold.payload
    if normalized != nil {
      normalized?.append(output, span, isSetApart: fold.kind == .chinese)
      return
    }
    if fold.kind == .letter { return word.append(output, from: span) }
    endWord()
    if fold.kind == .space { return }
    word.append(output, from: span)
    endWord()
  }

  /// Reads the added token that starts here; returns false when there is none.
  private mutating func takeAddedToken() -> Bool {
    switch pipeline.rawTokens.find(in: text, at: position, floor: segmentStart) {
    case .none: return false
    case .refused(let stop):
      addedFloor = stop
      return false
    case .match(let match):
      normalized?.cut(from: match.start)
      endSegment()
      if !match.isEmpty {
        let text = text
        found.append(match.id, spelling: text[match.start..<match.stop], (match.start, match.stop))
      }
      position = match.contentStop
      addedFloor = match.contentStop
      segmentStart = match.stop
      base = -1
      marksStart = segmentStart
      return true
    }
  }

  /// Whether an added token starts at `place`. Marks are not read beyond it.
  func addedTokenStarts(at place: Int) -> Bool {
    guard place >= addedFloor, pipeline.rawTokens.mayStart(with: text[place]) else { return false }
    if case .match = pipeline.rawTokens.find(in: text, at: place, floor: segmentStart) { return true }
    return false
  }

  /// Ends the word and the segment. Where the segment has been normalised, its tokens are looked for now.
  private mutating func endSegment() {
    endWord()
    guard let segment = normalized else { return }
    normalized = nil
    segment.split(by: pipeline.normalizedTokens) { piece in
      switch piece {
      case .token(let id, let spelling, let span):
        endWord()
        found.append(id, spelling: spelling, span)
      case .scalar(let scalar, let span): put(Fold(normalized: scalar, .shared), scalar, span)
      }
    }
    endWord()
    normalized = NormalizedText()
  }

  /// Runs the model on the word, if there is one. This is kept out of line: inlined into the loop over ASCII, the model
  /// takes the registers that the loop needs, and a scan takes 1.5 times as long.
  @inline(never)
  private mutating func endWord() {
    if word.characters == 0 { return }
    model.encode(word, into: &found)
    word.clear()
  }
}
