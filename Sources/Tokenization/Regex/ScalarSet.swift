/// The general categories, by their numbers in ``UnicodeData/categories``.
enum UnicodeCategory {
  static let names = [
    "cn", "lu", "ll", "lt", "lm", "lo", "mn", "mc", "me", "nd", "nl", "no", "pc", "pd", "ps", "pe", "pi", "pf", "po",
    "sm", "sc", "sk", "so", "zs", "zl", "zp", "cc", "cf", "co",
  ]
  static let longNames: [String: String] = [
    "letter": "l", "uppercaseletter": "lu", "lowercaseletter": "ll", "titlecaseletter": "lt", "modifierletter": "lm",
    "otherletter": "lo", "mark": "m", "nonspacingmark": "mn", "spacingmark": "mc", "enclosingmark": "me",
    "number": "n", "decimalnumber": "nd", "letternumber": "nl", "othernumber": "no", "punctuation": "p", "symbol": "s",
    "separator": "z", "other": "c",
  ]
}

/// The scripts that patterns may name, by their numbers in ``UnicodeData/scripts``.
enum UnicodeScript {
  static let names = [
    "han", "hiragana", "katakana", "hangul", "latin", "greek", "cyrillic", "arabic", "hebrew", "thai", "devanagari",
  ]
}

/// A set of Unicode scalar values as ranges in order that do not touch each other.
struct ScalarSet: Equatable {
  private(set) var ranges: [ClosedRange<UInt32>]

  static let all = ScalarSet([0...0x10FFFF])
  static let words = ScalarSet(of: UnicodeData.regexWords)
  static let spaces = ScalarSet(of: UnicodeData.spaces)
  static let digits = categories(["nd"])

  init(_ ranges: [ClosedRange<UInt32>] = []) {
    self.ranges = []
    for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
      if let last = self.ranges.last, range.lowerBound <= last.upperBound + 1 {
        self.ranges[self.ranges.count - 1] = last.lowerBound...max(last.upperBound, range.upperBound)
      } else {
        self.ranges.append(range)
      }
    }
  }

  private init(of text: StaticString) {
    var reader = UnicodeReader(text)
    var ranges: [ClosedRange<UInt32>] = []
    reader.ranges { range, _ in
      ranges.append(UInt32(truncatingIfNeeded: range.lowerBound)...UInt32(truncatingIfNeeded: range.upperBound))
    }
    self.init(ranges)
  }

  private init(of text: StaticString, numbers: Set<Int>) {
    var reader = UnicodeReader(text)
    var ranges: [ClosedRange<UInt32>] = []
    reader.ranges { range, reader in
      if numbers.contains(reader.number()) {
        ranges.append(UInt32(truncatingIfNeeded: range.lowerBound)...UInt32(truncatingIfNeeded: range.upperBound))
      }
    }
    self.init(ranges)
  }

  private static func categories(_ names: [String]) -> ScalarSet {
    let numbers = Set(names.compactMap { UnicodeCategory.names.firstIndex(of: $0) })
    let found = ScalarSet(of: UnicodeData.categories, numbers: numbers.subtracting([0]))
    guard numbers.contains(0) else { return found }
    // Category 0, what is not assigned, is all that the table does not have.
    let others = ScalarSet(of: UnicodeData.categories, numbers: Set(1..<UnicodeCategory.names.count))
    return found.union(others.inverted)
  }

  /// The set of a property name in `\p{…}`: a general category, one letter for several of them, or a script; nil when
  /// the name is unknown.
  static func property(_ name: String) -> ScalarSet? {
    var key = name.lowercased().filter { $0 != "_" && $0 != " " && $0 != "-" }
    if key == "any" { return .all }
    key = UnicodeCategory.longNames[key] ?? key
    if let script = UnicodeScript.names.firstIndex(of: key) {
      return ScalarSet(of: UnicodeData.scripts, numbers: [script])
    }
    let names = UnicodeCategory.names.filter { key.utf8.count == 1 ? $0.hasPrefix(key) : $0 == key }
    // Surrogates are of category Cs, and no text has them.
    return names.isEmpty ? nil : categories(names)
  }

  var inverted: ScalarSet {
    var result: [ClosedRange<UInt32>] = []
    var next: UInt32 = 0
    for range in ranges {
      if range.lowerBound > next { result.append(next...range.lowerBound - 1) }
      next = range.upperBound + 1
    }
    if next <= 0x10FFFF { result.append(next...0x10FFFF) }
    return ScalarSet(result)
  }

  func union(_ other: ScalarSet) -> ScalarSet { ScalarSet(ranges + other.ranges) }

  func intersection(_ other: ScalarSet) -> ScalarSet { inverted.union(other.inverted).inverted }

  func contains(_ scalar: UInt32) -> Bool { ranges.contains { $0.contains(scalar) } }

  /// The first bytes of the UTF-8 of the scalars.
  var leads: LeadBytes {
    var result = LeadBytes()
    for range in ranges {
      for byte in Self.lead(range.lowerBound)...Self.lead(range.upperBound) { result.insert(byte) }
    }
    return result
  }

  private static func lead(_ scalar: UInt32) -> UInt8 {
    switch scalar {
    case 0..<0x80: UInt8(truncatingIfNeeded: scalar)
    case 0x80..<0x800: UInt8(truncatingIfNeeded: 0xC0 | scalar >> 6)
    case 0x800..<0x10000: UInt8(truncatingIfNeeded: 0xE0 | scalar >> 12)
    default: UInt8(truncatingIfNeeded: 0xF0 | scalar >> 18)
    }
  }
}

/// A set of bytes that a match may start with.
struct LeadBytes: Sendable {
  private var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)

  static let all = LeadBytes(words: (.max, .max, .max, .max))

  init() {}
  private init(words: (UInt64, UInt64, UInt64, UInt64)) { self.words = words }

  mutating func insert(_ byte: UInt8) {
    let bit: UInt64 = 1 << UInt64(byte & 63)
    switch byte >> 6 {
    case 0: words.0 |= bit
    case 1: words.1 |= bit
    case 2: words.2 |= bit
    default: words.3 |= bit
    }
  }

  func contains(_ byte: UInt8) -> Bool {
    let word =
      switch byte >> 6 {
      case 0: words.0
      case 1: words.1
      case 2: words.2
      default: words.3
      }
    return word >> UInt64(byte & 63) & 1 == 1
  }

  func union(_ other: LeadBytes) -> LeadBytes {
    LeadBytes(
      words: (
        words.0 | other.words.0, words.1 | other.words.1, words.2 | other.words.2, words.3 | other.words.3
      ))
  }
}

/// A ``ScalarSet`` as bits, in pages of 256 of which equal ones are stored once.
struct ScalarClass: Sendable {
  private let low: UInt64
  private let high: UInt64
  private let pageOf: [UInt16]
  private let pages: [UInt64]

  init(_ set: ScalarSet) {
    var bits = [UInt64](repeating: 0, count: UnicodeTables.codePoints / 64)
    for range in set.ranges {
      var code = Int(range.lowerBound)
      while code <= Int(range.upperBound) {
        if code & 63 == 0 && code + 63 <= Int(range.upperBound) {
          bits[code >> 6] = .max
          code += 64
        } else {
          bits[code >> 6] |= 1 << UInt64(code & 63)
          code += 1
        }
      }
    }
    low = bits[0]
    high = bits[1]
    var pageOf: [UInt16] = []
    var pages: [UInt64] = []
    var known: [[UInt64]: UInt16] = [:]
    for start in stride(from: 0, to: bits.count, by: 4) {
      let page = Array(bits[start..<start + 4])
      let number = known[page] ?? UInt16(truncatingIfNeeded: known.count)
      if Int(number) == known.count {
        known[page] = number
        pages += page
      }
      pageOf.append(number)
    }
    self.pageOf = pageOf
    self.pages = pages
  }

  @inline(__always)
  func contains(ascii byte: UInt8) -> Bool { (byte < 64 ? low : high) >> UInt64(byte & 63) & 1 == 1 }

  @inline(__always)
  func contains(_ scalar: UInt32) -> Bool {
    let page = Int(pageOf[Int(scalar >> 8)])
    return pages[page &* 4 &+ Int(scalar >> 6 & 3)] >> UInt64(scalar & 63) & 1 == 1
  }
}
