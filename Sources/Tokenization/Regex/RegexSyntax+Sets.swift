extension RegexParser {
  mutating func escape() throws(RegexError) -> RegexNode {
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
  mutating func setEscape(_ scalar: UInt32) throws(RegexError) -> ScalarSet? {
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

  mutating func countSet() throws(RegexError) {
    sets += 1
    guard sets <= 1000 else { throw error("more than 1000 sets") }
  }

  /// The character of an escape whose first character has been read.
  mutating func characterEscape(_ scalar: UInt32) throws(RegexError) -> UInt32 {
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
  mutating func hexadecimal(_ counts: ClosedRange<Int>) -> UInt32? {
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
  mutating func bracket() throws(RegexError) -> ScalarSet {
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

  mutating func element() throws(RegexError) -> ScalarSet {
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
