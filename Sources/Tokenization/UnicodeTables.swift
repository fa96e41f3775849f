/// What the reference tokenizer knows about each code point: categories, canonical decompositions and lowercase
/// letters.
///
/// The standard library's tables are not used, because they are newer than those of the reference and change with the
/// toolchain.
struct UnicodeTables: Sendable {
  struct Properties: OptionSet {
    let rawValue: UInt8
    /// A control, format or private-use character, U+0000 or U+FFFD, which `clean_text` removes.
    static let removed = Properties(rawValue: 1)
    /// White space, which separates words.
    static let space = Properties(rawValue: 2)
    /// A CJK ideograph.
    static let chinese = Properties(rawValue: 4)
    static let punctuation = Properties(rawValue: 8)
    /// A mark without width (category Mn).
    static let mark = Properties(rawValue: 16)
    /// A canonical combining class other than 0.
    static let combining = Properties(rawValue: 32)
    /// A canonical decomposition other than the scalar itself.
    static let decomposes = Properties(rawValue: 64)
    /// A lowercase mapping other than the scalar itself.
    static let lowers = Properties(rawValue: 128)
  }

  static let shared = UnicodeTables()
  static let hangul: ClosedRange<UInt32> = 0xAC00...0xD7A3
  static let codePoints = 0x110000

  private let properties: [UInt8]
  private let classes: ScalarTable<UInt8>
  private let decompositions: ScalarMap
  private let lowercase: ScalarMap

  private init() {
    var properties = [UInt8](repeating: 0, count: Self.codePoints)
    func mark(_ text: StaticString, _ property: Properties) {
      var reader = UnicodeReader(text)
      reader.ranges { range, _ in for code in range { properties[code] |= property.rawValue } }
    }
    mark(UnicodeData.removed, .removed)
    mark(UnicodeData.spaces, .space)
    mark(UnicodeData.chinese, .chinese)
    mark(UnicodeData.punctuation, .punctuation)
    mark(UnicodeData.marks, .mark)
    var classes = ScalarTable<UInt8>(0)
    var reader = UnicodeReader(UnicodeData.combiningClasses)
    reader.ranges { range, reader in
      let value = UInt8(truncatingIfNeeded: reader.number())
      for code in range {
        properties[code] |= Properties.combining.rawValue
        classes[UInt32(code)] = value
      }
    }
    func mappings(_ text: StaticString, _ property: Properties) -> ScalarMap {
      var table = ScalarMap()
      var reader = UnicodeReader(text)
      reader.mappings { code, result in
        properties[code] |= property.rawValue
        table[UInt32(code)] = result[...]
      }
      return table
    }
    decompositions = mappings(UnicodeData.decompositions, .decomposes)
    lowercase = mappings(UnicodeData.lowercase, .lowers)
    self.classes = classes
    self.properties = properties
  }

  func properties(of scalar: UInt32) -> Properties {
    scalar < Self.codePoints ? Properties(rawValue: properties[Int(scalar)]) : []
  }

  /// The canonical combining class; 0 for a starter.
  func combiningClass(of scalar: UInt32) -> UInt8 {
    properties(of: scalar).contains(.combining) ? classes[scalar] : 0
  }

  /// The full canonical decomposition, before canonical ordering.
  func decomposition(of scalar: UInt32) -> [UInt32] {
    if Self.hangul.contains(scalar) { return Self.jamo(of: scalar) }
    guard properties(of: scalar).contains(.decomposes) else { return [scalar] }
    return Array(decompositions[scalar])
  }

  /// The lowercase mapping of a scalar; the scalar itself when it has none.
  func lowercase(_ scalar: UInt32) -> [UInt32] {
    guard properties(of: scalar).contains(.lowers) else { return [scalar] }
    return Array(lowercase[scalar])
  }

  /// As ``decomposition(of:)``; empty for a scalar without one, and for Hangul syllables.
  func storedDecomposition(of scalar: UInt32) -> ArraySlice<UInt32> {
    properties(of: scalar).contains(.decomposes) ? decompositions[scalar] : []
  }

  /// As ``lowercase(_:)``; empty for a scalar without a mapping.
  func storedLowercase(_ scalar: UInt32) -> ArraySlice<UInt32> {
    properties(of: scalar).contains(.lowers) ? lowercase[scalar] : []
  }

  /// The canonical decomposition of a Hangul syllable: leading consonant, vowel and, where there is one, trailing
  /// consonant (Unicode Standard, section 3.12).
  static func jamo(of syllable: UInt32) -> [UInt32] {
    let index = syllable - hangul.lowerBound
    let vowels: UInt32 = 21
    let trails: UInt32 = 28
    let pair = [0x1100 + index / (vowels * trails), 0x1161 + index % (vowels * trails) / trails]
    return index % trails == 0 ? pair : pair + [0x11A7 + index % trails]
  }
}

/// The word characters (`\w` of Unicode Technical Standard 18, annex C), next to which an added token with
/// `single_word` is not matched. They are decoded only when there is such a token.
struct WordCharacters: Sendable {
  static let shared = WordCharacters()

  private var ranges: [ClosedRange<Int>] = []

  private init() {
    var reader = UnicodeReader(UnicodeData.wordCharacters)
    reader.ranges { range, _ in ranges.append(range) }
  }

  var set: ScalarSet {
    ScalarSet(
      ranges.map { UInt32(truncatingIfNeeded: $0.lowerBound)...UInt32(truncatingIfNeeded: $0.upperBound) })
  }

  func contains(_ scalar: UInt32) -> Bool {
    let code = Int(scalar)
    var low = 0
    var high = ranges.count
    while low < high {
      let middle = (low + high) / 2
      if ranges[middle].upperBound < code { low = middle + 1 } else { high = middle }
    }
    return low < ranges.count && ranges[low].contains(code)
  }
}

/// Reads the numbers in a string of ``UnicodeData``. A number is written in digits of five bits, least significant
/// first, one character each. The sixth bit of a character says that more digits follow.
struct UnicodeReader {
  private let text: StaticString
  private var next = 0

  init(_ text: StaticString) {
    self.text = text
  }

  var isAtEnd: Bool { next >= text.utf8CodeUnitCount }

  /// Reads a number of at least 0.
  mutating func number() -> Int {
    var value = 0
    var shift = 0
    while !isAtEnd {
      // SAFETY: `next` is less than the length of the literal, and all literals that are read here are ASCII.
      let digit = Self.digit(text.utf8Start[next])
      next += 1
      value |= (digit & 31) << shift
      shift += 5
      if digit < 32 { break }
    }
    return value
  }

  /// Reads a signed number: 0, 1, 2, 3 … stand for 0, −1, 1, −2 …
  mutating func signed() -> Int {
    let value = number()
    return value & 1 == 0 ? value >> 1 : -(value >> 1) - 1
  }

  /// Calls `body` with each range of code points. A range is written as the number of code points since the one before,
  /// and its length less one.
  mutating func ranges(_ body: (ClosedRange<Int>, inout UnicodeReader) -> Void) {
    var after = 0
    while !isAtEnd {
      let first = after + number()
      let last = first + number()
      body(first...last, &self)
      after = last + 1
    }
  }

  /// Calls `body` with each code point that has a mapping, and the scalars that it maps to. A mapping is written as the
  /// number of code points since the one before, the number of scalars less one, and each scalar as a difference: the
  /// first from the code point, the others from U+0300.
  mutating func mappings(_ body: (Int, [UInt32]) -> Void) {
    var after = 0
    while !isAtEnd {
      let code = after + number()
      var result: [UInt32] = []
      var previous = code
      for _ in 0...number() {
        result.append(UInt32(truncatingIfNeeded: previous + signed()))
        previous = 0x300
      }
      body(code, result)
      after = code + 1
    }
  }

  private static func digit(_ byte: UInt8) -> Int {
    switch byte {
    case 0x30...0x39: Int(byte) - 0x30
    case 0x41...0x5A: Int(byte) - 0x41 + 10
    case 0x61...0x7A: Int(byte) - 0x61 + 36
    case 0x2D: 62
    default: 63
    }
  }
}
