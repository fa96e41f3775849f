extension TextReader {
  /// Splits a piece by the stages of the pre-tokeniser from number `stage` on, and runs the model on the words.
  mutating func split(_ piece: Piece, at stage: Int) {
    if stage == pipeline.stageCount { return encode(piece) }
    switch pipeline.preTokenizer.stages[stage] {
    case .bert:
      var spaces = ScalarMatches(.space, piece.bytes)
      divide(piece, &spaces, .removed, isInverted: false) { reader, word in
        var punctuation = ScalarMatches(.punctuation, word.bytes)
        reader.divide(word, &punctuation, .isolated, isInverted: false) { $0.split($1, at: stage + 1) }
      }
    case .words:
      var runs = WordRuns(piece.bytes)
      divide(piece, &runs, .removed, isInverted: true) { $0.split($1, at: stage + 1) }
    case .whiteSpace: divide(piece, .space, .removed, then: stage + 1)
    case .punctuation(let behavior): divide(piece, .punctuation, behavior, then: stage + 1)
    case .digits(let behavior): divide(piece, .numeric, behavior, then: stage + 1)
    case .delimiter(let scalar): divide(piece, .scalar(scalar), .removed, then: stage + 1)
    case .fixedLength(let length): divide(piece, every: length, then: stage + 1)
    case .metaspace(let metaspace): replaceSpaces(of: piece, metaspace, then: stage + 1)
    case .byteLevel(let byteLevel): splitBytes(of: piece, byteLevel, then: stage + 1)
    case .pattern(let program, let behavior, let isInverted):
      var matcher = RegexMatcher(program, piece.bytes)
      divide(piece, &matcher, behavior, isInverted: isInverted) { $0.split($1, at: stage + 1) }
    }
  }

  /// Splits a piece at the matches of `source`, and calls `body` with each word.
  ///
  /// - Parameter isInverted: whether the matches change places with what stands between them.
  @inline(__always)
  private mutating func divide(
    _ piece: Piece, _ source: inout some MatchSource, _ behavior: SplitBehavior, isInverted: Bool,
    _ body: (inout TextReader, Piece) -> Void
  ) {
    var grouping = MatchGrouping(behavior)
    var last = 0
    while let match = source.next() {
      if last < match.lowerBound, let word = grouping.add(last..<match.lowerBound, isMatch: isInverted), !word.isEmpty {
        body(&self, piece.part(word))
        if sink.isFull { return }
      }
      last = match.upperBound
      if let word = grouping.add(match, isMatch: !isInverted), !word.isEmpty {
        body(&self, piece.part(word))
        if sink.isFull { return }
      }
    }
    if last < piece.bytes.count, let word = grouping.add(last..<piece.bytes.count, isMatch: isInverted), !word.isEmpty {
      body(&self, piece.part(word))
      if sink.isFull { return }
    }
    if let word = grouping.rest, !word.isEmpty { body(&self, piece.part(word)) }
  }

  private mutating func divide(
    _ piece: Piece, _ kind: ScalarMatches.Kind, _ behavior: SplitBehavior, then stage: Int
  ) {
    var matches = ScalarMatches(kind, piece.bytes)
    divide(piece, &matches, behavior, isInverted: false) { $0.split($1, at: stage) }
  }

  private mutating func divide(_ piece: Piece, every length: Int, then stage: Int) {
    var start = 0
    while start < piece.bytes.count && !sink.isFull {
      var stop = start
      var count = 0
      while stop < piece.bytes.count && count < length {
        stop += UTF8Scalars.scalar(in: piece.bytes, at: stop).length
        count += 1
      }
      split(piece.part(start..<stop), at: stage)
      start = stop
    }
  }

  /// The stage `Metaspace`.
  private mutating func replaceSpaces(of piece: Piece, _ metaspace: Metaspace, then stage: Int) {
    let prepends =
      switch metaspace.prepend {
      case .never: false
      case .always: !piece.isCut
      case .first: !piece.isCut && piece.spans.first?.start == 0
      }
    let isPrefixed = prepends && piece.bytes.first != 0x20 && !piece.bytes.starts(with: metaspace.replacement)
    func splitMarks(_ reader: inout TextReader, _ whole: Piece) {
      guard metaspace.splits else { return reader.split(whole, at: stage) }
      var marks = ScalarMatches(.scalar(metaspace.scalar), whole.bytes)
      reader.divide(whole, &marks, .mergedWithNext, isInverted: false) { $0.split($1, at: stage) }
    }
    guard piece.spans.isEmpty else {
      let (bytes, spans) = Self.replacingSpaces(of: piece, metaspace.replacement, isPrefixed)
      return withPiece(bytes, spans, isCut: piece.isCut, splitMarks)
    }
    let length = metaspace.replacement.count
    withPiece(capacity: (piece.bytes.count + 1) * length, isCut: piece.isCut) { room in
      metaspace.replacement.withUnsafeBufferPointer { replacement in
        // SAFETY: there is room for the replacement of each byte, which has at least one byte, and for one more.
        var at = 0
        func put() {
          for index in 0..<length { room[at &+ index] = replacement[index] }
          at &+= length
        }
        if isPrefixed { put() }
        for byte in piece.bytes {
          if byte == 0x20 {
            put()
          } else {
            room[at] = byte
            at &+= 1
          }
        }
        return at
      }
    } then: {
      splitMarks(&$0, $1)
    }
  }

  private static func replacingSpaces(
    of piece: Piece, _ replacement: [UInt8], _ isPrefixed: Bool
  ) -> (bytes: [UInt8], spans: [Span]) {
    var bytes: [UInt8] = []
    var spans: [Span] = []
    if isPrefixed {
      bytes = replacement
      spans += bytes.map { _ in piece.spans[0] }
    }
    for (byte, span) in zip(piece.bytes, piece.spans) {
      if byte == 0x20 { bytes += replacement } else { bytes.append(byte) }
      while spans.count < bytes.count { spans.append(span) }
    }
    return (bytes, spans)
  }

  /// The stage `ByteLevel`.
  private mutating func splitBytes(of piece: Piece, _ byteLevel: ByteLevel, then stage: Int) {
    if byteLevel.addsPrefixSpace, !piece.isCut, piece.bytes.first != 0x20 {
      let spans = piece.spans.first.map { [$0] + piece.spans } ?? []
      return withPiece([0x20] + piece.bytes, spans, isCut: false) { reader, whole in
        reader.splitBytes(of: whole, byteLevel, then: stage)
      }
    }
    guard byteLevel.usesPattern, let program = ByteLevel.program else { return spell(piece, then: stage) }
    var matcher = RegexMatcher(program, piece.bytes)
    divide(piece, &matcher, .isolated, isInverted: false) { $0.spell($1, then: stage) }
  }

  /// Spells a word with ``ByteAlphabet``, unless the model takes bytes as they are.
  private mutating func spell(_ word: Piece, then stage: Int) {
    if pipeline.hasRawModel && stage == pipeline.stageCount { return encode(word) }
    var bytes: [UInt8] = []
    var spans: [Span] = []
    for (position, byte) in word.bytes.enumerated() {
      UTF8Scalars.append(ByteAlphabet.characters[Int(byte)], to: &bytes)
      if !word.spans.isEmpty { while spans.count < bytes.count { spans.append(word.spans[position]) } }
    }
    withPiece(bytes, spans, isCut: false) { $0.split($1, at: stage) }
  }
}
