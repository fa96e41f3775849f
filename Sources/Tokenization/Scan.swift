/// One pass over a text, left to right: added tokens, normaliser, pre-tokeniser and WordPiece at once, so that a long
/// text costs no more than the part of it that is needed.
struct Scan {
  typealias Span = WordBuffer.Span

  let model: TokenizerModel
  let text: UnsafeBufferPointer<UInt8>
  /// Reading stops once there are more tokens than this.
  let limit: Int
  var word: WordBuffer
  /// What was found, with the place of each token when `word` is traced.
  private(set) var ids: [Int32] = []
  private(set) var spans: [Span] = []

  var position = 0
  /// The last scalar that marks do not move across, where it may decompose; -1 otherwise.
  var base = -1
  /// Behind that scalar, or the start of the segment: marks from here on may change places.
  var marksStart = 0
  /// Where the segment between added tokens starts.
  private var segmentStart = 0
  /// No added token may start before this.
  private var addedFloor = 0
  /// The segment's normalised text, when added tokens are to be found in that.
  private var normalized: NormalizedText?

  init(_ model: TokenizerModel, _ text: UnsafeBufferPointer<UInt8>, limit: Int, word: WordBuffer) {
    self.model = model
    self.text = text
    self.limit = limit
    self.word = word
    if !model.normalizedTokens.isEmpty { normalized = NormalizedText() }
    ids.reserveCapacity(min(limit, text.count) &+ 1)
  }

  var isFull: Bool { ids.count > limit }

  /// Reads until the text ends or the limit is passed.
  mutating func run() {
    while position < text.count && !isFull {
      let byte = text[position]
      if model.rawTokens.mayStart(with: byte), position >= addedFloor, takeAddedToken() { continue }
      // White space that the token before has taken along.
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

  /// What the normaliser makes of the whole text.
  mutating func normalizedBytes() -> [UInt8] {
    normalized = NormalizedText()
    while position < text.count {
      let (scalar, length) = UTF8Scalars.scalar(in: text, at: position)
      take(scalar, (position, position + length))
    }
    return normalized?.bytes ?? []
  }

  /// ASCII characters up to the next one that is not, or that may start an added token.
  @inline(__always)
  private mutating func takeASCII(_ first: UInt8) {
    var byte = first
    let start = position
    repeat {
      let action = model.ascii[Int(byte)]
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
    } while next(&byte) && byte < 0x80 && !model.ascii[Int(byte)].mayStartToken
    settleMarks(behind: start)
  }

  @inline(__always)
  private func next(_ byte: inout UInt8) -> Bool {
    if position >= text.count { return false }
    byte = text[position]
    return true
  }

  /// ASCII from `start` to here: no mark moves across it, and none comes out of it.
  private mutating func settleMarks(behind start: Int) {
    if position == start { return }
    base = -1
    marksStart = position
  }

  /// Any scalar.
  private mutating func take(_ scalar: UInt32, _ span: Span) {
    let fold = model.folding.fold(scalar)
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
      for bits in model.folding.sequences[start..<start + Int(fold.payload & 15)] {
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

  /// A scalar that is past the normaliser: `fold.payload`, or `scalar` when that is 0.
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

  /// True when an added token starts here; the scan is then behind it.
  private mutating func takeAddedToken() -> Bool {
    switch model.rawTokens.find(in: text, at: position, floor: segmentStart) {
    case .none: return false
    case .refused(let stop):
      addedFloor = stop
      return false
    case .match(let match):
      normalized?.cut(from: match.start)
      endSegment()
      emit(match.id, (match.start, match.stop))
      position = match.contentStop
      addedFloor = match.contentStop
      segmentStart = match.stop
      base = -1
      marksStart = segmentStart
      return true
    }
  }

  /// True when an added token starts at `place`, where marks end then.
  func addedTokenStarts(at place: Int) -> Bool {
    guard place >= addedFloor, model.rawTokens.mayStart(with: text[place]) else { return false }
    if case .match = model.rawTokens.find(in: text, at: place, floor: segmentStart) { return true }
    return false
  }

  private mutating func endSegment() {
    endWord()
    guard let segment = normalized else { return }
    normalized = nil
    segment.split(by: model.normalizedTokens) { piece in
      switch piece {
      case .token(let id, let span):
        endWord()
        emit(id, span)
      case .scalar(let scalar, let span): put(Folding.classify(scalar, .shared), scalar, span)
      }
    }
    endWord()
    normalized = NormalizedText()
  }

  private mutating func emit(_ id: Int32, _ span: Span) {
    ids.append(id)
    if word.isTraced { spans.append(span) }
  }

  /// WordPiece: the longest piece first, again and again; the unknown token when a rest has none.
  private mutating func endWord() {
    if word.characters == 0 { return }
    defer { word.clear() }
    if word.isTooLong { return emit(model.wordPiece.unknown, (word.start, word.stop)) }
    let before = ids.count
    let bytes = word.bytes
    var start = 0
    while start < bytes.count {
      guard let piece = model.wordPiece.piece(bytes, from: start) else {
        ids.removeSubrange(before...)
        if word.isTraced { spans.removeSubrange(before...) }
        return emit(model.wordPiece.unknown, (word.start, word.stop))
      }
      ids.append(piece.id)
      if word.isTraced { spans.append(word.span(start..<piece.end)) }
      start = piece.end
    }
  }
}
