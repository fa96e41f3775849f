import JSON

/// The section `normalizer` of tokenizer.json: steps that change a text one after another before it is split.
struct Normalizer: Sendable {
  enum Step: Sendable {
    case bert(BertNormalizer)
    case form(NormalizationForm)
    case lowercase
    case stripAccents
    case strip(left: Bool, right: Bool)
    case replace(Replacement)
    case prepend([UInt8])
    case nmt
    case precompiled(Precompiled)
    case byteLevel
  }

  var steps: [Step] = []
  /// How many times longer a text may become, at most.
  private var growth = 1

  /// Changes a segment of a text.
  ///
  /// A long segment comes in several pieces, cut where ``keepsCuts`` allows.
  /// - Parameters:
  ///   - isFirst: whether the piece is the first of its segment.
  ///   - isLast: whether it is the last.
  func apply(to text: consuming AlignedText, isFirst: Bool = true, isLast: Bool = true) -> AlignedText {
    for step in steps { text = Self.apply(step, consume text, isFirst, isLast) }
    return text
  }

  private static func apply(
    _ step: Step, _ text: consuming AlignedText, _ isFirst: Bool, _ isLast: Bool
  ) -> AlignedText {
    switch step {
    case .bert(let normalizer): return normalizer.apply(to: text)
    case .form(let form): return form.apply(to: text)
    case .lowercase: return lowercase(text)
    case .stripAccents:
      if text.isASCII { return text }
      let forms = UnicodeForms.shared
      return text.mapping { forms.flags(of: $0).contains(.accent) ? .removed : .kept }
    case .strip(let left, let right): return strip(text, left: left && isFirst, right: right && isLast)
    case .replace(let replacement): return replacement.apply(to: text)
    case .prepend(let bytes):
      guard isFirst, !text.bytes.isEmpty, !bytes.isEmpty else { return text }
      var result = AlignedText(rewriting: text)
      result.append(bytes: bytes, text.span(at: 0))
      result.append(text, 0..<text.bytes.count)
      return result
    case .nmt: return text.mapping(nmt)
    case .precompiled(let table): return table.apply(to: text)
    case .byteLevel: return ByteAlphabet.spell(text)
    }
  }

  static func lowercase(_ text: consuming AlignedText) -> AlignedText {
    text.lowercaseASCII()
    if text.isASCII { return text }
    let unicode = UnicodeTables.shared
    return text.mapping { scalar in
      if scalar < 0x80 { return .kept }
      let lowercase = unicode.storedLowercase(scalar)
      return lowercase.isEmpty ? .kept : .scalars(lowercase)
    }
  }

  private static func strip(_ text: consuming AlignedText, left: Bool, right: Bool) -> AlignedText {
    let kept = text.bytes.withUnsafeBufferPointer { bytes in
      let unicode = UnicodeTables.shared
      var start = 0
      var stop = bytes.count
      while left, start < bytes.count {
        let (scalar, length) = UTF8Scalars.scalar(in: bytes, at: start)
        if !unicode.properties(of: scalar).contains(.space) { break }
        start += length
      }
      while right, stop > start, let (scalar, length) = UTF8Scalars.scalar(in: bytes, before: stop) {
        if !unicode.properties(of: scalar).contains(.space) { break }
        stop -= length
      }
      return start..<stop
    }
    text.keep(kept)
    return text
  }

  /// What SentencePiece's `nmt` rule removes or makes a space.
  private static func nmt(_ scalar: UInt32) -> AlignedText.Change {
    switch scalar {
    case 0x01...0x08, 0x0B, 0x0E...0x1F, 0x7F, 0x8F, 0x9F: .removed
    case 0x09, 0x0A, 0x0C, 0x0D, 0x1680, 0x200B...0x200F, 0x2028, 0x2029, 0x2581, 0xFEFF, 0xFFFD: .scalar(0x20)
    default: .kept
    }
  }

  /// Whether a text may be cut before a space between two ASCII letters or digits, and the parts be changed on their
  /// own. The space must become a space or `▁`.
  var keepsCuts: Bool {
    steps.allSatisfy { step in
      switch step {
      case .bert, .form, .lowercase, .stripAccents, .strip, .nmt: true
      case .replace(let replacement): replacement.keepsCuts
      case .prepend: true
      case .precompiled(let table): Cut.characters.allSatisfy(table.keeps)
      case .byteLevel: false
      }
    }
  }
}

extension Normalizer {
  /// What the space of a cut may have become at the end, where ``keepsCuts`` holds.
  var cutSpaces: Set<UInt32> {
    var spaces: Set<UInt32> = [0x20]
    for step in steps {
      switch step {
      case .replace(let replacement):
        guard let content = replacement.spaceContent else { break }
        if replacement.replacesEverySpace { spaces.remove(0x20) }
        spaces.insert(content)
      case .precompiled, .nmt: spaces.insert(0x20)
      default: break
      }
    }
    return spaces
  }
}

/// Where a long text may be cut into pieces: before a space between two ASCII letters or digits.
enum Cut {
  static let letters: [UInt8] = Array("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ".utf8)
  static let characters: [UInt8] = letters + [0x20]
  /// What the space of a cut may become.
  static let spaces: Set<UInt32> = [0x20, 0x2581]

  static func isLetter(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
    default: false
    }
  }

  /// Whether a string has the two sides of a cut in it.
  static func isWithin(_ bytes: some Collection<UInt8>) -> Bool {
    var isLetter = false
    for byte in bytes {
      if isLetter && (byte == 0x20 || byte == 0xE2) { return true }
      isLetter = Self.isLetter(byte)
    }
    return false
  }
}

extension BertNormalizer {
  /// Changes a text whose words are split by other means than ``Scan``.
  func apply(to text: consuming AlignedText) -> AlignedText {
    let unicode = UnicodeTables.shared
    if cleansText || splitsChinese {
      text = text.mapping { scalar in
        let properties = unicode.properties(of: scalar)
        if properties.isEmpty || scalar == 0x20 { return .kept }
        if cleansText {
          if properties.contains(.removed) { return .removed }
          if properties.contains(.space) { return .scalar(0x20) }
        }
        return splitsChinese && properties.contains(.chinese) ? .setApart : .kept
      }
    }
    if stripsAccents, !text.isASCII {
      text = NormalizationForm.nfd.apply(to: text).mapping {
        unicode.properties(of: $0).contains(.mark) ? .removed : .kept
      }
    }
    return lowercases ? Normalizer.lowercase(text) : text
  }
}

/// The step `Replace`: every match of a text or a regular expression becomes another text.
struct Replacement: Sendable {
  private let pattern: RegexProgram
  /// The one byte that is looked for, where it is no more than that.
  private let byte: UInt8?
  private let content: [UInt8]
  let keepsCuts: Bool
  /// What it makes of the space of a cut, where it may match one.
  let spaceContent: UInt32?
  /// Whether it leaves no space.
  let replacesEverySpace: Bool
  /// How many times longer a text may become. An empty match may stand before each byte.
  var growth: Int { byte == nil ? content.count + 1 : content.count }

  init(_ section: JSONField) throws(FieldError) {
    let pattern = try PatternSection(section.required("pattern"))
    let text = try section.required("content").string()
    self.pattern = pattern.program
    content = Array(text.utf8)
    let literal = pattern.literal.map { Array($0.utf8) }
    byte = literal.flatMap { $0.count == 1 && $0[0] < 0x80 ? $0[0] : nil }
    spaceContent = pattern.matchesSpace ? text.unicodeScalars.first?.value : nil
    replacesEverySpace = pattern.literal == " "
    keepsCuts = pattern.keepsCuts && (!pattern.matchesSpace || text == " " || text == "▁")
  }

  func apply(to text: AlignedText) -> AlignedText {
    if let byte, !text.bytes.contains(byte) { return text }
    var result = AlignedText(rewriting: text)
    var copied = 0
    func replace(_ found: Range<Int>) {
      result.append(text, copied..<found.lowerBound)
      let stop = found.upperBound
      result.append(bytes: content, stop < 1 ? (text.start, text.start) : text.span(at: stop - 1))
      copied = stop
    }
    text.bytes.withUnsafeBufferPointer { bytes in
      if let byte {
        for position in bytes.indices where bytes[position] == byte { replace(position..<position + 1) }
      } else if !bytes.isEmpty {
        var matcher = RegexMatcher(pattern, bytes)
        while let found = matcher.next() { replace(found) }
      }
    }
    if copied == 0 && result.bytes.isEmpty { return text }
    result.append(text, copied..<text.bytes.count)
    return result
  }
}

/// The value of `pattern`: a `String` that is looked for as it is, or a `Regex`.
struct PatternSection {
  let program: RegexProgram
  /// The text of a `String`.
  let literal: String?
  /// The source of a `Regex`.
  let source: String?
  /// Whether it can match neither across a cut nor depending on what stands beyond one.
  let keepsCuts: Bool
  /// Whether it matches a space.
  let matchesSpace: Bool

  init(_ field: JSONField) throws(FieldError) {
    if let text = field.optional("String") {
      let literal = try text.string()
      self.literal = literal
      source = nil
      program = try Self.compiled(text) { () throws(RegexError) in try .literal(literal) }
      keepsCuts = !literal.isEmpty && !Cut.isWithin(literal.utf8)
      matchesSpace = literal.contains(" ") || literal.contains("▁")
    } else {
      let text = try field.required("Regex")
      let source = try text.string()
      literal = nil
      self.source = source
      let node = try Self.compiled(text) { () throws(RegexError) in try RegexParser.parse(source) }
      program = try Self.compiled(text) { () throws(RegexError) in try RegexProgram(node) }
      let set: ScalarSet? =
        switch node {
        case .set(let set): set
        case .repeated(.set(let set), let min, _, .greedy) where min > 0: set
        case .text(let bytes) where bytes.count == 1: ScalarSet([UInt32(bytes[0])...UInt32(bytes[0])])
        case .repeated(.text(let bytes), let min, _, .greedy) where bytes.count == 1 && min > 0:
          ScalarSet([UInt32(bytes[0])...UInt32(bytes[0])])
        default: nil
        }
      matchesSpace = set.map { $0.contains(0x20) || $0.contains(0x2581) } ?? true
      let matchesLetter = set.map { set in Cut.letters.contains { set.contains(UInt32($0)) } } ?? true
      keepsCuts = set != nil && !(matchesSpace && matchesLetter)
    }
  }

  private static func compiled<Value>(
    _ field: JSONField, _ body: () throws(RegexError) -> Value
  ) throws(FieldError) -> Value {
    do {
      return try body()
    } catch {
      throw field.refused(error.message)
    }
  }
}

extension Normalizer {
  private mutating func multiply(by factor: Int) {
    let (product, overflow) = growth.multipliedReportingOverflow(by: max(1, factor))
    growth = overflow ? .max : product
  }

  private static let types = [
    "BertNormalizer", "ByteLevel", "Lowercase", "NFC", "NFD", "NFKC", "NFKD", "Nmt", "Precompiled", "Prepend",
    "Replace", "Sequence", "Strip", "StripAccents",
  ]

  /// The section `normalizer`, which may be missing.
  init(_ section: JSONField?) throws(FieldError) {
    if let section { try add(section, depth: 0) }
  }

  private mutating func add(_ section: JSONField, depth: Int) throws(FieldError) {
    switch try section.required("type").string(oneOf: Self.types) {
    case "Sequence":
      guard depth < 8 else { throw section.refused("is a sequence nested more than 8 deep") }
      for step in try section.required("normalizers").elements() { try add(step, depth: depth + 1) }
      return
    case "BertNormalizer": steps.append(.bert(try BertNormalizer(section)))
    case "NFC": steps.append(.form(.nfc))
    case "NFD": steps.append(.form(.nfd))
    case "NFKC": steps.append(.form(.nfkc))
    case "NFKD": steps.append(.form(.nfkd))
    case "Lowercase": steps.append(.lowercase)
    case "StripAccents": steps.append(.stripAccents)
    case "Strip":
      let left = try section.required("strip_left").bool()
      steps.append(.strip(left: left, right: try section.required("strip_right").bool()))
    case "Replace":
      let replacement = try Replacement(section)
      steps.append(.replace(replacement))
      multiply(by: replacement.growth)
    case "Prepend":
      let bytes = Array(try section.required("prepend").string().utf8)
      steps.append(.prepend(bytes))
      multiply(by: bytes.count + 1)
    case "Nmt": steps.append(.nmt)
    case "Precompiled":
      let table = try Precompiled(section)
      steps.append(.precompiled(table))
      multiply(by: table.longest)
    default:
      steps.append(.byteLevel)
      multiply(by: 2)
    }
    guard steps.count <= 64 else { throw section.refused("has more than 64 steps") }
    guard growth <= 20_000 else { throw section.refused("could make a text more than 20000 times longer") }
  }
}
