/// A normalised segment of a text, in which added tokens are found that are matched after the normaliser.
struct NormalizedText {
  typealias Span = WordBuffer.Span

  private(set) var bytes: [UInt8] = []
  /// Where each byte comes from.
  private var spans: [Span] = []

  enum Piece {
    case scalar(UInt32, Span)
    case token(Int32, Span)
  }

  /// - Parameter isSetApart: a space is put on each side.
  mutating func append(_ scalar: UInt32, _ span: Span, isSetApart: Bool) {
    if isSetApart { bytes.append(0x20) }
    UTF8Scalars.append(scalar, to: &bytes)
    if isSetApart { bytes.append(0x20) }
    while spans.count < bytes.count { spans.append(span) }
  }

  /// Removes what comes from the text from `start` on: white space that the added token behind the segment takes along.
  mutating func cut(from start: Int) {
    while let last = spans.last, last.start >= start {
      spans.removeLast()
      bytes.removeLast()
    }
  }

  /// Hands out the added tokens and, scalar by scalar, what is between them.
  func split(by tokens: AddedTokens, _ body: (Piece) -> Void) {
    bytes.withUnsafeBufferPointer { text in
      var position = 0
      // Where the last match ends, the white space that it takes along included.
      var taken = 0
      // No token may start before this.
      var searchFrom = 0
      // Scalars are held back, since a token may take the white space before it along.
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
            body(.token(match.id, (spans[match.start].start, spans[match.stop - 1].stop)))
            // The next token may start in that white space: a normalised one can have a space in front.
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
