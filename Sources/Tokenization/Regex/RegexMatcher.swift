/// Finds the matches of a regular expression in a text, one after another, as Oniguruma does.
///
/// A match is searched by backtracking, of which the number of steps is bounded: what follows in a text on which the
/// steps run out is taken to have no match. The patterns of published tokenizers take a few steps for each character.
struct RegexMatcher {
  private struct Frame {
    /// The step to go on with: a choice, a run, or any other.
    var step: Int
    var position: Int
    /// For a choice, the alternatives that are left; for a greedy run, the least position, and for a lazy one the number
    /// of scalars that it may still take.
    var rest: Int
    var kind: Kind

    enum Kind { case plain, choice, greedyRun, lazyRun }
  }

  private let program: RegexProgram
  private let text: UnsafeBufferPointer<UInt8>
  private var frames: [Frame] = []
  private var budget: Int
  /// Where the next search starts, and the end of the last match.
  private var searchStart = 0
  private var lastEnd = -1

  init(_ program: RegexProgram, _ text: UnsafeBufferPointer<UInt8>) {
    self.program = program
    self.text = text
    budget = 100_000 + 200 * min(text.count, 1 << 40)
  }

  /// The next match; nil when there is none. An empty match right behind the last one is passed over.
  mutating func next() -> Range<Int>? {
    while searchStart <= text.count {
      guard let found = search(from: searchStart) else { return nil }
      if found.isEmpty && found.upperBound == lastEnd {
        let step = searchStart < text.count ? UTF8Scalars.scalar(in: text, at: searchStart).length : 1
        searchStart += step
        continue
      }
      searchStart = found.upperBound
      lastEnd = found.upperBound
      return found
    }
    return nil
  }

  private mutating func search(from start: Int) -> Range<Int>? {
    var position = start
    while position <= text.count {
      let mayStart = program.mayBeEmpty || position < text.count && program.starts.contains(text[position])
      if mayStart, let end = match(step: 0, position) { return position..<end }
      if budget <= 0 { return nil }
      position += position < text.count ? UTF8Scalars.scalar(in: text, at: position).length : 1
    }
    return nil
  }

  /// The end of the match that starts at `position`; nil when there is none.
  private mutating func match(step first: Int, _ start: Int) -> Int? {
    let base = frames.count
    defer { if frames.count > base { frames.removeLast(frames.count - base) } }
    var step = first
    var position = start
    while true {
      budget &-= 1
      var isMatched: Bool
      switch program.steps[step] {
      case .set(let index):
        isMatched = false
        if position < text.count {
          let byte = text[position]
          if byte < 0x80 {
            if program.classes[index].contains(ascii: byte) {
              position &+= 1
              isMatched = true
            }
          } else {
            let (scalar, length) = UTF8Scalars.scalar(in: text, at: position)
            if program.classes[index].contains(scalar) {
              position &+= length
              isMatched = true
            }
          }
        }
        step &+= 1
      case .text(let index):
        isMatched = take(program.texts[index], &position)
        step &+= 1
      case .run(let set, let min, let max, let greed):
        isMatched = run(set, min, max, greed, step, &position)
        step &+= 1
      case .choose(let index):
        let mask = program.choices[index].masks[position < text.count ? Int(text[position]) : 256]
        isMatched = choose(index, mask, &step, position)
      case .jump(let target):
        step = target
        isMatched = true
      case .split(let first, let second):
        frames.append(Frame(step: second, position: position, rest: 0, kind: .plain))
        step = first
        isMatched = true
      case .look(let end, let width, let negated):
        isMatched = looks(step &+ 1, width, position) != negated
        step = end
      case .atomic(let end):
        if let stop = match(step: step &+ 1, position) {
          position = stop
          step = end
          isMatched = true
        } else {
          isMatched = false
        }
      case .anchor(let anchor):
        isMatched = holds(anchor, position)
        step &+= 1
      case .accept: return position
      }
      if budget <= 0 { return nil }
      if !isMatched && !backtrack(to: base, &step, &position) { return nil }
    }
  }

  /// Goes back to the last choice; returns false when there is none.
  private mutating func backtrack(to base: Int, _ step: inout Int, _ position: inout Int) -> Bool {
    while frames.count > base {
      let frame = frames.removeLast()
      step = frame.step
      position = frame.position
      switch frame.kind {
      case .plain: return true
      case .choice:
        guard case .choose(let index) = program.steps[step] else { continue }
        if choose(index, UInt32(truncatingIfNeeded: frame.rest), &step, position) { return true }
      case .greedyRun:
        repeat { position &-= 1 } while text[position] & 0xC0 == 0x80
        if position > frame.rest {
          frames.append(Frame(step: step, position: position, rest: frame.rest, kind: .greedyRun))
        }
        step &+= 1
        return true
      case .lazyRun:
        guard case .run(let set, _, _, _) = program.steps[step] else { continue }
        let before = position
        _ = advance(program.classes[set], 1, &position)
        if position == before { continue }
        if frame.rest > 1 {
          frames.append(Frame(step: step, position: position, rest: frame.rest - 1, kind: .lazyRun))
        }
        step &+= 1
        return true
      }
    }
    return false
  }

  @inline(__always)
  private mutating func choose(_ index: Int, _ mask: UInt32, _ step: inout Int, _ position: Int) -> Bool {
    if mask == 0 { return false }
    let rest = mask & (mask &- 1)
    if rest != 0 { frames.append(Frame(step: step, position: position, rest: Int(rest), kind: .choice)) }
    step = program.choices[index].targets[mask.trailingZeroBitCount]
    return true
  }

  private func take(_ bytes: [UInt8], _ position: inout Int) -> Bool {
    guard text.count - position >= bytes.count else { return false }
    for index in 0..<bytes.count where text[position &+ index] != bytes[index] { return false }
    position &+= bytes.count
    return true
  }

  /// Takes scalars of a set, at most `most`, and returns how many.
  @inline(__always)
  private func advance(_ set: ScalarClass, _ most: Int, _ position: inout Int) -> Int {
    var count = 0
    while position < text.count && count < most {
      let byte = text[position]
      if byte < 0x80 {
        if !set.contains(ascii: byte) { break }
        position &+= 1
      } else {
        let (scalar, length) = UTF8Scalars.scalar(in: text, at: position)
        if !set.contains(scalar) { break }
        position &+= length
      }
      count &+= 1
    }
    return count
  }

  private mutating func run(
    _ set: Int, _ min: Int, _ max: Int, _ greed: RegexNode.Greed, _ step: Int, _ position: inout Int
  ) -> Bool {
    let scalars = program.classes[set]
    if min > 0 && advance(scalars, min, &position) < min { return false }
    let least = position
    let rest = max == .max ? .max : max - min
    if rest <= 0 { return true }
    if greed == .lazy {
      frames.append(Frame(step: step, position: position, rest: rest, kind: .lazyRun))
      return true
    }
    budget &-= advance(scalars, rest, &position) >> 2
    if greed == .greedy && position > least {
      frames.append(Frame(step: step, position: position, rest: least, kind: .greedyRun))
    }
    return true
  }

  private mutating func looks(_ step: Int, _ width: Int?, _ position: Int) -> Bool {
    var start = position
    for _ in 0..<(width ?? 0) {
      guard let before = UTF8Scalars.scalar(in: text, before: start) else { return false }
      start -= before.length
    }
    return match(step: step, start) != nil
  }

  private func holds(_ anchor: RegexNode.Anchor, _ position: Int) -> Bool {
    let isAtEnd = position == text.count
    switch anchor {
    case .textStart: return position == 0
    case .textEnd: return isAtEnd
    case .lastLineEnd: return isAtEnd || position + 1 == text.count && text[position] == 0x0A
    // A line feed at the end of the text does not begin a line.
    case .lineStart: return position == 0 || text[position - 1] == 0x0A && !isAtEnd
    case .lineEnd:
      if isAtEnd { return position == 0 || text[position - 1] != 0x0A }
      return text[position] == 0x0A
    case .wordBoundary, .noWordBoundary:
      let before = UTF8Scalars.scalar(in: text, before: position).map { Self.isWord($0.value) } ?? false
      let after = isAtEnd ? false : Self.isWord(UTF8Scalars.scalar(in: text, at: position).value)
      return (before != after) == (anchor == .wordBoundary)
    }
  }

  private static let words = ScalarClass(.words)
  private static func isWord(_ scalar: UInt32) -> Bool { words.contains(scalar) }
}
