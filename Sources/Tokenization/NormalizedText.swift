/// A normalised segment of a text. Added tokens with `normalized` are looked for in it.
struct NormalizedText {
  typealias Span = WordBuffer.Span

  private(set) var bytes: [UInt8] = []
  /// The part of the original text that each byte comes from.
  private var spans: [Span] = []

  enum Piece {
    case scalar(UInt32, Span)
    case token(Int32, spelling: Slice<UnsafeBufferPointer<UInt8>>, Span)
  }

  /// Appends a scalar that comes from `span`.
  ///
  /// - Parameter isSetApart: whether a space is put on each side.
  mutating func append(_ scalar: UInt32, _ span: Span, isSetApart: Bool) {
    if isSetApart { bytes.append(0x20) }
    UTF8Scalars.append(scalar, to: &bytes)
    if isSetApart { bytes.append(0x20) }
    while spans.count < bytes.count { spans.append(span) }
  }

  /// Removes what comes from the text from `start` on: white space that belongs to the match of the added token after
  /// the segment.
  mutating func cut(from start: Int) {
    while let last = spans.last, last.start >= start {
      spans.removeLast()
      bytes.removeLast()
    }
  }

  /// Calls `body` with the added tokens and, one by one, the scalars between them, in the order of the text.
  func split(by tokens: AddedTokens, _ body: (Piece) -> Void) {
    bytes.withUnsafeBufferPointer { text in
      var position = 0
      // The end of the last match, including the white space after the token that belongs to it.
      var taken = 0
      // No token may start before this place.
      var searchFrom = 0
      // Scalars are held back, because the white space before a token may belong to its match.
      var pending: [(scalar: UInt32, start: Int)] = []
      func release(before stop: Int) {
        for item in pending where item.start < stop { body(.scalar(item.scalar, spans[item.start])) }
        pending.removeAll(keepingCapacity: true)
      }
      while position < text.count {
        if position >= searchFrom, tokens.mayStart(with: text[position]) {
          switch tokens.find(in: text, at: position, floor: taken) {
          case .none: break
          case .refused(let stop): searchFrom = stop
          case .match(let match):
            release(before: match.start)
            if !match.isEmpty {
              let span = (spans[match.start].start, spans[match.stop - 1].stop)
              body(.token(match.id, spelling: text[match.start..<match.stop], span))
            }
            // The next token may start in the white space of this match: a normalised token can begin with a space.
            position = match.contentStop
            taken = match.stop
            continue
          }
        }
        let (scalar, length) = UTF8Scalars.scalar(in: text, at: position)
        if position >= taken { pending.append((scalar, position)) }
        position += length
      }
      release(before: text.count)
    }
  }
}
