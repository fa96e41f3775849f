import JSON

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
