/// Why a regular expression is not supported.
struct RegexError: Error {
  var message: String
}

/// Reads a regular expression in the syntax of Oniguruma, as far as published tokenizers use it: sets, categories and
/// scripts, alternatives, groups that capture nothing, quantifiers, looks around, and anchors.
struct RegexParser {
  let scalars: [UInt32]
  var at = 0
  var depth = 0
  /// The number of sets that have been read, each of which may have hundreds of ranges.
  var sets = 0
  /// Whether letters match in either case.
  var foldsCase = false
  /// Whether `.` matches a line feed.
  var dotMatchesAll = false

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

  var next: UInt32? { at < scalars.count ? scalars[at] : nil }

  func error(_ what: String) -> RegexError {
    RegexError(message: "is not a supported regular expression: \(what) at character \(at + 1)")
  }

  static func code(_ character: Unicode.Scalar) -> UInt32 { character.value }

  func looksAt(_ text: String) -> Bool {
    let wanted = text.unicodeScalars
    return at + wanted.count <= scalars.count && scalars[at..<at + wanted.count].elementsEqual(wanted.map(\.value))
  }

  mutating func take(_ text: String) -> Bool {
    guard looksAt(text) else { return false }
    at += text.unicodeScalars.count
    return true
  }

  // MARK: Structure

  mutating func alternatives() throws(RegexError) -> RegexNode {
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

  mutating func sequence() throws(RegexError) -> RegexNode {
    var nodes: [RegexNode] = []
    while let scalar = next, scalar != Self.code("|"), scalar != Self.code(")") {
      nodes.append(try quantified(try atom()))
    }
    return Self.joined(nodes)
  }

  /// A sequence in which neighbouring texts are one.
  static func joined(_ nodes: [RegexNode]) -> RegexNode {
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

  mutating func quantified(_ atom: RegexNode) throws(RegexError) -> RegexNode {
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
  mutating func interval() throws(RegexError) -> (min: Int, max: Int?)? {
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

  mutating func number() -> Int? {
    var value: Int?
    while let scalar = next, (0x30...0x39).contains(scalar) {
      value = min(100_000, (value ?? 0) * 10 + Int(scalar - 0x30))
      at += 1
    }
    return value
  }

  mutating func atom() throws(RegexError) -> RegexNode {
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

  mutating func group() throws(RegexError) -> RegexNode {
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
  func optionsEnd(from start: Int) -> Int {
    scalars[start...].firstIndex(of: Self.code(")")).map { $0 + 1 } ?? start
  }

  mutating func options() throws(RegexError) {
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

  mutating func literal(_ scalar: UInt32) throws(RegexError) -> RegexNode {
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
  func refuseLongFold(from scalar: UInt32) throws(RegexError) {
    guard let second = next, scalar < 0x80, second < 0x80 else { return }
    let pair = String(decoding: [UInt8(scalar) | 0x20, UInt8(second) | 0x20], as: UTF8.self)
    if ["ss", "st", "ff", "fi", "fl"].contains(pair) { throw error("\"\(pair)\" in either case") }
  }

  /// The set with the other case of its letters. Only ASCII letters are looked at, and only they are allowed.
  func folded(_ set: ScalarSet) throws(RegexError) -> ScalarSet {
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
}
