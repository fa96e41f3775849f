/// A part of a regular expression.
indirect enum RegexNode {
  enum Greed { case greedy, lazy, possessive }
  enum Anchor { case textStart, textEnd, lastLineEnd, lineStart, lineEnd, wordBoundary, noWordBoundary }

  case empty
  case set(ScalarSet)
  case text([UInt8])
  case sequence([RegexNode])
  case alternatives([RegexNode])
  case repeated(RegexNode, min: Int, max: Int?, Greed)
  case atomic(RegexNode)
  case look(RegexNode, ahead: Bool, negated: Bool)
  case anchor(Anchor)

  /// Whether it can match nothing at all.
  var matchesNothing: Bool {
    switch self {
    case .empty, .look, .anchor: true
    case .set: false
    case .text(let bytes): bytes.isEmpty
    case .sequence(let nodes): nodes.allSatisfy(\.matchesNothing)
    case .alternatives(let nodes): nodes.contains(where: \.matchesNothing)
    case .repeated(let node, let min, _, _): min == 0 || node.matchesNothing
    case .atomic(let node): node.matchesNothing
    }
  }

  /// The number of scalars of every match; nil when matches differ.
  var width: Int? {
    switch self {
    case .empty, .look, .anchor: return 0
    case .set: return 1
    case .text(let bytes): return bytes.reduce(0) { $0 + ($1 & 0xC0 != 0x80 ? 1 : 0) }
    case .sequence(let nodes):
      var sum = 0
      for node in nodes {
        guard let width = node.width else { return nil }
        sum += width
      }
      return sum
    case .alternatives(let nodes):
      guard let first = nodes.first?.width, nodes.allSatisfy({ $0.width == first }) else { return nil }
      return first
    case .repeated(let node, let min, let max, _):
      guard min == max, let width = node.width else { return nil }
      let (product, overflow) = width.multipliedReportingOverflow(by: min)
      return overflow ? nil : product
    case .atomic(let node): return node.width
    }
  }
}

/// Why a regular expression is not supported.
struct RegexError: Error {
  var message: String
}

/// Reads a regular expression in the syntax of Oniguruma, as far as published tokenizers use it: sets, categories and
/// scripts, alternatives, groups that capture nothing, quantifiers, looks around, and anchors.
struct RegexParser {
  private let scalars: [UInt32]
  private var at = 0
  private var depth = 0
  /// The number of sets that have been read, each of which may have hundreds of ranges.
  private var sets = 0
  /// Whether letters match in either case.
  private var foldsCase = false
  /// Whether `.` matches a line feed.
  private var dotMatchesAll = false

  private init(_ pattern: String) {
    scalars = pattern.unicodeScalars.map(\.value)
  }

  static func parse(_ pattern: String) throws(RegexError) -> RegexNode {
    guard pattern.utf8.count <= 200_000 else { throw RegexError(message: "is longer than 200000 bytes") }
    var parser = RegexParser(pattern)
    let node = try parser.alternatives()
    if parser.at < parser.scalars.count { throw parser.error("an unmatched )") }
    return node
  }

  // MARK: Reading scalars

  private var next: UInt32? { at < scalars.count ? scalars[at] : nil }

  private func error(_ what: String) -> RegexError {
    RegexError(message: "is not a supported regular expression: \(what) at character \(at + 1)")
  }

  private static func code(_ character: Unicode.Scalar) -> UInt32 { character.value }

  private func looksAt(_ text: String) -> Bool {
    let wanted = text.unicodeScalars
    return at + wanted.count <= scalars.count && scalars[at..<at + wanted.count].elementsEqual(wanted.map(\.value))
  }

  private mutating func take(_ text: String) -> Bool {
    guard looksAt(text) else { return false }
    at += text.unicodeScalars.count
    return true
  }

  // MARK: Structure

  private mutating func alternatives() throws(RegexError) -> RegexNode {
    depth += 1
    defer { depth -= 1 }
    guard depth <= 40 else { throw error("groups nested more than 40 deep") }
    let folds = foldsCase
    let dot = dotMatchesAll
    var nodes = [try sequence()]
    while take("|") { nodes.append(try sequence()) }
    foldsCase = folds
    dotMatchesAll = dot
    return nodes.count == 1 ? nodes[0] : .alternatives(nodes)
  }

  private mutating func sequence() throws(RegexError) -> RegexNode {
    var nodes: [RegexNode] = []
    while let scalar = next, scalar != Self.code("|"), scalar != Self.code(")") {
      nodes.append(try quantified(try atom()))
    }
    return Self.joined(nodes)
  }

  /// A sequence in which neighbouring texts are one.
  private static func joined(_ nodes: [RegexNode]) -> RegexNode {
    var result: [RegexNode] = []
    for node in nodes {
      if case .text(let more) = node, case .text(let bytes)? = result.last {
        result[result.count - 1] = .text(bytes + more)
      } else {
        result.append(node)
      }
    }
    return result.isEmpty ? .empty : result.count == 1 ? result[0] : .sequence(result)
  }

  private mutating func quantified(_ atom: RegexNode) throws(RegexError) -> RegexNode {
    var node = atom
    var count = 0
    while let scalar = next {
      var range: (min: Int, max: Int?)
      var isInterval = false
      switch scalar {
      case Self.code("*"): range = (0, nil)
      case Self.code("+"): range = (1, nil)
      case Self.code("?"): range = (0, 1)
      case Self.code("{"):
        guard let interval = try interval() else { return node }
        range = interval
        isInterval = true
      default: return node
      }
      if !isInterval { at += 1 }
      count += 1
      guard count <= 4 else { throw error("more than four quantifiers in one place") }
      if case .anchor = node { throw error("a repeated anchor") }
      if case .look = node { throw error("a repeated look around") }
      var greed = RegexNode.Greed.greedy
      if take("?") {
        if isInterval && range.min == range.max { throw error("a lazy quantifier of one number") }
        greed = .lazy
      } else if !isInterval && take("+") {
        greed = .possessive
      }
      if node.matchesNothing && range.max != 1 { throw error("a repetition of what may be empty") }
      node = .repeated(node, min: range.min, max: range.max, greed)
    }
    return node
  }

  /// Reads `{m}`, `{m,}`, `{,n}` or `{m,n}`; nil, and nothing is read, when the brace is a literal.
  private mutating func interval() throws(RegexError) -> (min: Int, max: Int?)? {
    let start = at
    at += 1
    let low = number()
    let comma = take(",")
    let high = comma ? number() : low
    guard take("}"), low != nil || high != nil else {
      at = start
      return nil
    }
    let min = low ?? 0
    guard min <= 1000, high ?? 0 <= 1000 else { throw error("a repetition of more than 1000") }
    if let high, high < min { throw error("a repetition whose end is before its start") }
    return (min, high)
  }

  private mutating func number() -> Int? {
    var value: Int?
    while let scalar = next, (0x30...0x39).contains(scalar) {
      value = min(100_000, (value ?? 0) * 10 + Int(scalar - 0x30))
      at += 1
    }
    return value
  }

  private mutating func atom() throws(RegexError) -> RegexNode {
    guard let scalar = next else { return .empty }
    at += 1
    switch scalar {
    case Self.code("("): return try group()
    case Self.code("["): return .set(try bracket())
    case Self.code("."):
      return .set(dotMatchesAll ? .all : ScalarSet([0x0A...0x0A]).inverted)
    case Self.code("^"): return .anchor(.lineStart)
    case Self.code("$"): return .anchor(.lineEnd)
    case Self.code("\\"): return try escape()
    case Self.code("*"), Self.code("+"), Self.code("?"):
      at -= 1
      throw error("a quantifier without anything before it")
    case Self.code("{"):
      at -= 1
      if try interval() != nil { throw error("a quantifier without anything before it") }
      at += 1
      return try literal(scalar)
    default: return try literal(scalar)
    }
  }

  private mutating func group() throws(RegexError) -> RegexNode {
    let folds = foldsCase
    let dot = dotMatchesAll
    var wrap: (RegexNode) throws(RegexError) -> RegexNode = { $0 }
    if take("?") {
      if take(":") {
        // A group that captures nothing is the usual one.
      } else if take("=") {
        wrap = { .look($0, ahead: true, negated: false) }
      } else if take("!") {
        wrap = { .look($0, ahead: true, negated: true) }
      } else if take("<=") {
        wrap = { .look($0, ahead: false, negated: false) }
      } else if take("<!") {
        wrap = { .look($0, ahead: false, negated: true) }
      } else if take(">") {
        wrap = { .atomic($0) }
      } else if take("<") {
        // The name of a group is of no use without references to it.
        while let scalar = next, scalar != Self.code(">") { at += 1 }
        if !take(">") { throw error("a group without an end to its name") }
      } else {
        try options()
        // Options without a group hold to the end of the group around them. Elsewhere than at the start they would make
        // a group of the alternatives that follow.
        if take(")") {
          guard at == optionsEnd(from: 0) else { throw error("options in the middle") }
          return .empty
        }
        if !take(":") { throw error("a group of an unknown kind") }
      }
    }
    let node = try alternatives()
    if !take(")") { throw error("a missing )") }
    foldsCase = folds
    dotMatchesAll = dot
    let result = try wrap(node)
    if case .look(let inner, ahead: false, _) = result {
      guard let width = inner.width, width <= 255 else { throw error("a look behind of no fixed width") }
    }
    return result
  }

  /// One past the options without a group, such as `(?i)`, at `start`.
  private func optionsEnd(from start: Int) -> Int {
    scalars[start...].firstIndex(of: Self.code(")")).map { $0 + 1 } ?? start
  }

  private mutating func options() throws(RegexError) {
    var value = true
    while let scalar = next {
      switch scalar {
      case Self.code("-"): value = false
      case Self.code("i"): foldsCase = value
      case Self.code("m"): dotMatchesAll = value
      default: return
      }
      at += 1
    }
  }

  // MARK: Characters

  private mutating func literal(_ scalar: UInt32) throws(RegexError) -> RegexNode {
    if foldsCase {
      try refuseLongFold(from: scalar)
      let set = try folded(ScalarSet([scalar...scalar]))
      if set.ranges.count > 1 { return .set(set) }
    }
    var bytes: [UInt8] = []
    UTF8Scalars.append(scalar, to: &bytes)
    return .text(bytes)
  }

  /// Two letters that one letter of another case stands for, as ß for ss.
  private func refuseLongFold(from scalar: UInt32) throws(RegexError) {
    guard let second = next, scalar < 0x80, second < 0x80 else { return }
    let pair = String(decoding: [UInt8(scalar) | 0x20, UInt8(second) | 0x20], as: UTF8.self)
    if ["ss", "st", "ff", "fi", "fl"].contains(pair) { throw error("\"\(pair)\" in either case") }
  }

  /// The set with the other case of its letters. Only ASCII letters are looked at, and only they are allowed.
  private func folded(_ set: ScalarSet) throws(RegexError) -> ScalarSet {
    var more: [ClosedRange<UInt32>] = []
    for range in set.ranges {
      for letter in UInt32(0x41)...0x5A where range.contains(letter) || range.contains(letter + 32) {
        more.append(letter...letter)
        more.append(letter + 32...letter + 32)
        // The long s and the sign of the kelvin are other cases of s and k.
        if letter == 0x53 { more.append(0x17F...0x17F) }
        if letter == 0x4B { more.append(0x212A...0x212A) }
      }
      if range.upperBound >= 0x80, range.count < 0x1000 {
        let letters = ScalarSet.property("L")?.intersection(ScalarSet([range]))
        if letters?.ranges.contains(where: { $0.upperBound >= 0x80 }) == true {
          throw error("a letter beyond ASCII in either case")
        }
      }
    }
    return set.union(ScalarSet(more))
  }

  private mutating func escape() throws(RegexError) -> RegexNode {
    guard let scalar = next else { throw error("a backslash at the end") }
    at += 1
    switch scalar {
    case Self.code("A"): return .anchor(.textStart)
    case Self.code("z"): return .anchor(.textEnd)
    case Self.code("Z"): return .anchor(.lastLineEnd)
    case Self.code("b"): return .anchor(.wordBoundary)
    case Self.code("B"): return .anchor(.noWordBoundary)
    default:
      if let set = try setEscape(scalar) { return .set(set) }
      return try literal(try characterEscape(scalar))
    }
  }

  /// The set of `\d`, `\p{…}` and the like, whose letter has been read; nil for another escape.
  private mutating func setEscape(_ scalar: UInt32) throws(RegexError) -> ScalarSet? {
    switch scalar {
    case Self.code("d"): return .digits
    case Self.code("D"): return ScalarSet.digits.inverted
    case Self.code("w"): return .words
    case Self.code("W"): return ScalarSet.words.inverted
    case Self.code("s"): return .spaces
    case Self.code("S"): return ScalarSet.spaces.inverted
    case Self.code("h"): return ScalarSet([0x30...0x39, 0x41...0x46, 0x61...0x66])
    case Self.code("p"), Self.code("P"):
      guard take("{") else { throw error("a property without braces") }
      var isInverted = scalar == Self.code("P")
      if take("^") { isInverted.toggle() }
      var name = ""
      while let letter = next, letter != Self.code("}"), let letter = Unicode.Scalar(letter) {
        name.unicodeScalars.append(letter)
        at += 1
      }
      if !take("}") { throw error("a property without an end") }
      if foldsCase, ["lu", "ll", "lt"].contains(name.lowercased()) { throw error("a case in either case") }
      try countSet()
      guard let set = ScalarSet.property(name) else { throw error("the property \(name)") }
      return isInverted ? set.inverted : set
    default: return nil
    }
  }

  private mutating func countSet() throws(RegexError) {
    sets += 1
    guard sets <= 1000 else { throw error("more than 1000 sets") }
  }

  /// The character of an escape whose first character has been read.
  private mutating func characterEscape(_ scalar: UInt32) throws(RegexError) -> UInt32 {
    switch scalar {
    case Self.code("n"): return 0x0A
    case Self.code("t"): return 0x09
    case Self.code("r"): return 0x0D
    case Self.code("f"): return 0x0C
    case Self.code("v"): return 0x0B
    case Self.code("a"): return 0x07
    case Self.code("e"): return 0x1B
    case Self.code("x"):
      let isLong = take("{")
      let value = hexadecimal(isLong ? 1...8 : 1...2)
      if isLong && !take("}") { throw error("a code point without an end") }
      guard let value, value < 0x80 || isLong else { throw error("a code point") }
      return value
    case Self.code("u"):
      guard let value = hexadecimal(4...4) else { throw error("a code point") }
      return value
    case 0x30...0x39, 0x41...0x5A, 0x61...0x7A:
      throw error("the escape \\\(Unicode.Scalar(scalar).map(String.init) ?? "")")
    default: return scalar
    }
  }

  /// Reads a scalar value in as many digits as `counts` allows.
  private mutating func hexadecimal(_ counts: ClosedRange<Int>) -> UInt32? {
    var value: UInt32 = 0
    var count = 0
    while count < counts.upperBound, let scalar = next, let letter = Unicode.Scalar(scalar),
      let digit = Character(letter).hexDigitValue, scalar < 0x80
    {
      guard value < 0x1000_0000 else { return nil }
      value = value << 4 | UInt32(digit)
      count += 1
      at += 1
    }
    return counts.contains(count) && Unicode.Scalar(value) != nil ? value : nil
  }

  // MARK: Sets in brackets

  /// Reads a set whose opening bracket has been read.
  private mutating func bracket() throws(RegexError) -> ScalarSet {
    depth += 1
    defer { depth -= 1 }
    guard depth <= 40 else { throw error("sets nested more than 40 deep") }
    try countSet()
    let isInverted = take("^")
    var whole: ScalarSet?
    var ranges: [ClosedRange<UInt32>] = []
    var isEmpty = true
    while !take("]") {
      if take("&&") {
        whole = whole.map { $0.intersection(ScalarSet(ranges)) } ?? ScalarSet(ranges)
        ranges = []
        isEmpty = true
        continue
      }
      ranges += try element().ranges
      guard ranges.count <= 100_000 else { throw error("a set of too many ranges") }
      isEmpty = false
    }
    if isEmpty { throw error("an empty set") }
    let found = whole.map { $0.intersection(ScalarSet(ranges)) } ?? ScalarSet(ranges)
    let result = foldsCase ? try folded(found) : found
    return isInverted ? result.inverted : result
  }

  private mutating func element() throws(RegexError) -> ScalarSet {
    guard let scalar = next else { throw error("a missing ]") }
    if looksAt("[:") {
      for (name, set) in [("[:digit:]", ScalarSet.digits), ("[:space:]", .spaces), ("[:word:]", .words)] {
        if take(name) { return set }
      }
      throw error("a class in brackets")
    }
    at += 1
    if scalar == Self.code("[") { return try bracket() }
    var first = scalar
    if scalar == Self.code("\\") {
      guard let escaped = next else { throw error("a backslash at the end") }
      at += 1
      if let set = try setEscape(escaped) { return set }
      first = escaped == Self.code("b") ? 0x08 : try characterEscape(escaped)
    }
    guard looksAt("-"), at + 1 < scalars.count, scalars[at + 1] != Self.code("]") else {
      return ScalarSet([first...first])
    }
    // What is not the end of a range makes the hyphen a literal.
    if scalars[at + 1] == Self.code("[") { return ScalarSet([first...first]) }
    let hyphen = at
    at += 1
    var last = scalars[at]
    at += 1
    if last == Self.code("\\") {
      guard let escaped = next else { throw error("a backslash at the end") }
      at += 1
      if try setEscape(escaped) != nil {
        at = hyphen
        return ScalarSet([first...first])
      }
      last = escaped == Self.code("b") ? 0x08 : try characterEscape(escaped)
    }
    guard first <= last else { throw error("a range whose end is before its start") }
    return ScalarSet([first...last])
  }
}
