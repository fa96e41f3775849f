/// One pass over a text, left to right: added tokens, normaliser, pre-tokeniser and model at once, so that a long text costs
/// no more than the part of it that is needed.
struct Scan<Model: SubwordModel> {
  typealias Span = WordBuffer.Span

  let pipeline: Pipeline
  private let model: Model
  let text: UnsafeBufferPointer<UInt8>
  /// Reading stops once there are more tokens than this.
  let limit: Int
  var word: WordBuffer
  private(set) var found: TokenList

  var position = 0
  /// Where the last scalar starts that marks do not move across, if it may decompose; -1 otherwise.
  var base = -1
  /// Where that scalar ends, or the segment starts: canonical ordering may move marks from here on.
  var marksStart = 0
  /// Where the segment between added tokens starts.
  private var segmentStart = 0
  /// No added token may start before this.
  private var addedFloor = 0
  /// The segment's normalised text, when added tokens are to be found in that.
  private var normalized: NormalizedText?

  /// The tokens of a text, read until there are more than `limit` of them.
  ///
  /// - Parameter isTraced: the places of the tokens are wanted as well.
  static func run(
    _ pipeline: Pipeline, _ model: Model, _ text: String, limit: Int, isTraced: Bool
  ) -> TokenList {
    var text = text
    let characters = model.maximumCharacters
    return text.withUTF8 { bytes in
      withUnsafeTemporaryAllocation(of: UInt8.self, capacity: characters * 4) { room in
        // SAFETY: both buffers have the sizes that WordBuffer asks for, and outlive the scan.
        withUnsafeTemporaryAllocation(of: Span.self, capacity: isTraced ? characters * 4 : 0) { spans in
          let word = WordBuffer(room, spans, maximumCharacters: characters)
          var scan = Scan(pipeline, model, bytes, limit: limit, word: word)
          scan.run()
          return scan.found
        }
      }
    }
  }

  /// The bytes that the normaliser makes of a short text, whatever added tokens are in it.
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

  var isFull: Bool { found.ids.count > limit }

  /// Reads until the text ends or the limit is passed.
  private mutating func run() {
    while position < text.count && !isFull {
      let byte = text[position]
      if pipeline.rawTokens.mayStart(with: byte), position >= addedFloor, takeAddedToken() { continue }
      // White space that the token before it has taken along.
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
  private mutating func normalizedBytes() -> [UInt8] {
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
    switch pipeline.rawTokens.find(in: text, at: position, floor: segmentStart) {
    case .none: return false
    case .refused(let stop):
      addedFloor = stop
      return false
    case .match(let match):
      normalized?.cut(from: match.start)
      endSegment()
      found.append(match.id, (match.start, match.stop))
      position = match.contentStop
      addedFloor = match.contentStop
      segmentStart = match.stop
      base = -1
      marksStart = segmentStart
      return true
    }
  }

  /// True when an added token starts at `place`: marks are not read beyond it.
  func addedTokenStarts(at place: Int) -> Bool {
    guard place >= addedFloor, pipeline.rawTokens.mayStart(with: text[place]) else { return false }
    if case .match = pipeline.rawTokens.find(in: text, at: place, floor: segmentStart) { return true }
    return false
  }

  private mutating func endSegment() {
    endWord()
    guard let segment = normalized else { return }
    normalized = nil
    segment.split(by: pipeline.normalizedTokens) { piece in
      switch piece {
      case .token(let id, let span):
        endWord()
        found.append(id, span)
      case .scalar(let scalar, let span): put(Fold(normalized: scalar, .shared), scalar, span)
      }
    }
    endWord()
    normalized = NormalizedText()
  }

  /// Hands the word to the model, if there is one. Kept out of line: inlined into the loop over ASCII, the model takes the
  /// registers that the loop needs, and a text takes half as long again.
  @inline(never)
  private mutating func endWord() {
    if word.characters == 0 { return }
    model.encode(word, into: &found)
    word.clear()
  }
}
