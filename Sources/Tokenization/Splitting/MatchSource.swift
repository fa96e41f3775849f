/// Finds in a text, from left to right, what it is split at.
protocol MatchSource {
  mutating func next() -> Range<Int>?
}

extension RegexMatcher: MatchSource {}

/// Each scalar of a kind.
struct ScalarMatches: MatchSource {
  enum Kind {
    case space
    case punctuation
    case numeric
    case scalar(UInt32)
  }

  private let text: UnsafeBufferPointer<UInt8>
  private let kind: Kind
  private let unicode = UnicodeTables.shared
  private var position = 0

  init(_ kind: Kind, _ text: UnsafeBufferPointer<UInt8>) {
    self.kind = kind
    self.text = text
  }

  mutating func next() -> Range<Int>? {
    while position < text.count {
      let start = position
      let (scalar, length) = UTF8Scalars.scalar(in: text, at: position)
      position &+= length
      if isMatch(scalar) { return start..<position }
    }
    return nil
  }

  @inline(__always)
  private func isMatch(_ scalar: UInt32) -> Bool {
    switch kind {
    case .space: unicode.properties(of: scalar).contains(.space)
    case .punctuation: unicode.properties(of: scalar).contains(.punctuation)
    case .numeric:
      scalar < 0x80 ? (0x30...0x39).contains(scalar) : UnicodeForms.shared.flags(of: scalar).contains(.numeric)
    case .scalar(let wanted): scalar == wanted
    }
  }
}

/// Runs of word characters, and runs of characters that are neither word characters nor white space.
struct WordRuns: MatchSource {
  private static let words = ScalarClass(WordCharacters.shared.set)
  private let text: UnsafeBufferPointer<UInt8>
  private var position = 0

  init(_ text: UnsafeBufferPointer<UInt8>) {
    self.text = text
  }

  private enum Kind { case space, word, other }

  mutating func next() -> Range<Int>? {
    var start = position
    var kind = Kind.space
    while position < text.count {
      let (scalar, length) = UTF8Scalars.scalar(in: text, at: position)
      let found = Self.kind(scalar)
      if found != kind {
        if kind != .space { return start..<position }
        kind = found
        start = position
      }
      position &+= length
    }
    return kind == .space ? nil : start..<position
  }

  private static func kind(_ scalar: UInt32) -> Kind {
    if words.contains(scalar) { return .word }
    return UnicodeTables.shared.properties(of: scalar).contains(.space) ? .space : .other
  }
}

/// Forms words from the matches in a text and from what stands between them.
struct MatchGrouping {
  private let behavior: SplitBehavior
  private var pending: Range<Int>?
  private var lastWasMatch = false

  init(_ behavior: SplitBehavior) {
    self.behavior = behavior
  }

  /// Takes the next part of the text, and returns the word that is complete with it.
  mutating func add(_ part: Range<Int>, isMatch: Bool) -> Range<Int>? {
    defer { lastWasMatch = isMatch }
    switch behavior {
    case .removed: return isMatch ? nil : part
    case .isolated: return part
    case .contiguous, .mergedWithPrevious:
      let joins = behavior == .contiguous ? isMatch == lastWasMatch : isMatch && !lastWasMatch
      if joins, let last = pending {
        pending = last.lowerBound..<part.upperBound
        return nil
      }
      defer { pending = part }
      return pending
    case .mergedWithNext:
      guard let held = pending else {
        if !isMatch { return part }
        pending = part
        return nil
      }
      if isMatch {
        pending = part
        return held
      }
      pending = nil
      return held.lowerBound..<part.upperBound
    }
  }

  /// The word that is left at the end.
  var rest: Range<Int>? { pending }
}
