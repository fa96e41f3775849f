import JSON

/// What stands around one text or around the two texts of a pair: special tokens and the texts, each with a type.
struct Template: Sendable {
  enum Part: Sendable {
    case special(Token, type: Int32)
    /// The first (0) or the second (1) text.
    case text(Int, type: Int32)
  }

  var parts: [Part]

  /// The number of special tokens.
  var count: Int {
    parts.reduce(0) { sum, part in if case .special = part { sum + 1 } else { sum } }
  }

  /// The special tokens before the first text, and all those after it.
  var frame: (before: [Token], after: [Token]) {
    var before: [Token] = []
    var after: [Token] = []
    var isBehind = false
    for part in parts {
      switch part {
      case .text: isBehind = true
      case .special(let token, _): if isBehind { after.append(token) } else { before.append(token) }
      }
    }
    return (before, after)
  }

  /// Whether all tokens have type 0.
  var hasOneType: Bool {
    parts.allSatisfy { part in
      switch part {
      case .special(_, let type), .text(_, let type): type == 0
      }
    }
  }

  /// The ids and the types of texts between the special tokens, at most `maxLength` in all.
  func apply(to texts: [ArraySlice<Int32>], maxLength: Int) -> (ids: [Int32], types: [Int32]) {
    var ids: [Int32] = []
    var types: [Int32] = []
    let size = texts.reduce(count) { $0 + $1.count }
    ids.reserveCapacity(size)
    types.reserveCapacity(size)
    for part in parts {
      switch part {
      case .special(let token, let type):
        ids.append(token.id)
        types.append(type)
      case .text(let index, let type):
        ids += texts[index]
        types.append(contentsOf: repeatElement(type, count: texts[index].count))
      }
    }
    // This happens only when there are more special tokens than `maxLength`.
    if ids.count > max(0, maxLength) {
      ids.removeSubrange(max(0, maxLength)...)
      types.removeSubrange(max(0, maxLength)...)
    }
    return (ids, types)
  }
}

/// The section `post_processor` of tokenizer.json, which puts special tokens around those of a text, and may take white
/// space out of the places of tokens.
struct PostProcessor: Sendable {
  var single = Template(parts: [.text(0, type: 0)])
  var pair = Template(parts: [.text(0, type: 0), .text(1, type: 1)])
  /// How the places of tokens are trimmed, one time after another.
  var trims: [Trim] = []

  /// White space at either end of a token does not belong to its place.
  struct Trim: Sendable {
    /// Whether a single space at the start of the text was put there by the pre-tokeniser.
    var hasPrefixSpace: Bool
  }

  init() {}

  /// One special token before and one after a text, as BERT has them; the second text of a pair has type 1.
  init(before: Token, after: Token) {
    single = Template(parts: [.special(before, type: 0), .text(0, type: 0), .special(after, type: 0)])
    pair = Template(parts: single.parts + [.text(1, type: 1), .special(after, type: 1)])
  }

  /// Trims the places of the tokens of a text.
  ///
  /// - Parameter spellings: the texts of tokens, by their index, that are not those of the vocabulary.
  func trim(_ tokens: inout [Token], _ text: String, spellings: [Int: String]) {
    if trims.isEmpty { return }
    var text = text
    text.withUTF8 { bytes in
      for trim in trims {
        for index in tokens.indices {
          let spelling = spellings[index] ?? tokens[index].text
          Self.trim(&tokens[index], spelling, isFirst: index == 0, trim, bytes)
        }
      }
    }
  }

  private static func trim(
    _ token: inout Token, _ spelling: String, isFirst: Bool, _ trim: Trim, _ text: UnsafeBufferPointer<UInt8>
  ) {
    guard var start = token.start, var stop = token.stop else { return }
    let scalars = spelling.unicodeScalars
    var leading = scalars.prefix(while: isSpace).count
    var trailing = scalars.reversed().prefix(while: isSpace).count
    if (isFirst || start == 0) && trim.hasPrefixSpace && leading == 1 { leading = 0 }
    while leading > 0 && start < stop {
      start += UTF8Scalars.scalar(in: text, at: start).length
      leading -= 1
    }
    start = min(start, stop)
    while trailing > 0, stop > start, let before = UTF8Scalars.scalar(in: text, before: stop) {
      stop -= before.length
      trailing -= 1
    }
    token.start = start
    token.stop = max(start, stop)
  }

  /// White space, or the character that byte-level models spell a space with.
  private static func isSpace(_ scalar: Unicode.Scalar) -> Bool {
    scalar.value == 0x120 || UnicodeTables.shared.properties(of: scalar.value).contains(.space)
  }
}

extension PostProcessor {
  private static let types = ["BertProcessing", "ByteLevel", "RobertaProcessing", "Sequence", "TemplateProcessing"]

  /// The section `post_processor`, which may be missing.
  init(_ section: JSONField?, vocabularySize: Int) throws(FieldError) {
    guard let section else { return }
    var hasFrame = false
    try add(section, vocabularySize, &hasFrame, depth: 0)
  }

  private mutating func add(
    _ section: JSONField, _ size: Int, _ hasFrame: inout Bool, depth: Int
  ) throws(FieldError) {
    let type = try section.required("type")
    switch try type.string(oneOf: Self.types) {
    case "Sequence":
      guard depth < 8 else { throw section.refused("is a sequence nested more than 8 deep") }
      for step in try section.required("processors").elements() { try add(step, size, &hasFrame, depth: depth + 1) }
      return
    case "ByteLevel":
      let hasPrefix = try section.required("add_prefix_space").bool()
      if try section.required("trim_offsets").bool() { trims.append(Trim(hasPrefixSpace: hasPrefix)) }
      guard trims.count <= 8 else { throw section.refused("trims places more than 8 times") }
      return
    case "TemplateProcessing":
      single = try Self.template(section.required("single"), section, texts: 1, size)
      pair = try Self.template(section.required("pair"), section, texts: 2, size)
    case "BertProcessing":
      self = PostProcessor(before: try Self.token(section, "cls", size), after: try Self.token(section, "sep", size))
        .trimming(trims)
    default:
      let cls = try Self.token(section, "cls", size)
      let sep = Template.Part.special(try Self.token(section, "sep", size), type: 0)
      single.parts = [.special(cls, type: 0), .text(0, type: 0), sep]
      pair.parts = single.parts + [sep, .text(1, type: 0), sep]
      let hasPrefix = try section.required("add_prefix_space").bool()
      if try section.required("trim_offsets").bool() { trims.append(Trim(hasPrefixSpace: hasPrefix)) }
    }
    // Two of them would each put their tokens around the result of the other, which no published file does.
    if hasFrame { throw type.refused("must not follow another step that adds special tokens") }
    hasFrame = true
  }

  private func trimming(_ trims: [Trim]) -> PostProcessor {
    var result = self
    result.trims = trims
    return result
  }

  /// A special token as `["[CLS]", 101]`.
  private static func token(_ section: JSONField, _ name: String, _ size: Int) throws(FieldError) -> Token {
    let field = try section.required(name)
    let parts = try field.elements()
    guard parts.count == 2 else { throw field.refused("must be a text and an id") }
    return try special(parts[0], parts[1], size)
  }

  private static func special(_ text: JSONField, _ id: JSONField, _ size: Int) throws(FieldError) -> Token {
    let value = try id.tokenID()
    guard value < size else { throw id.refused("is not in the vocabulary") }
    return Token(id: value, text: try text.string(), special: true, start: nil, stop: nil)
  }

  private static func template(
    _ field: JSONField, _ section: JSONField, texts: Int, _ size: Int
  ) throws(FieldError) -> Template {
    let names = ["A", "B"]
    var parts: [Template.Part] = []
    var seen: Set<Int> = []
    for piece in try field.elements() {
      if let text = piece.optional("Sequence") {
        let id = try text.required("id")
        let name = try id.string()
        guard let index = names.prefix(texts).firstIndex(of: name), seen.insert(index).inserted else {
          throw id.refused(
            texts == 1 ? "must be \"A\" and occur only once" : "must be \"A\" or \"B\" and occur only once")
        }
        parts.append(.text(index, type: try type(text)))
        continue
      }
      let special = try piece.required("SpecialToken")
      let type = try type(special)
      let name = try special.required("id").string()
      let entry = try section.required("special_tokens").required(name)
      let ids = try entry.required("ids").elements()
      let tokens = try entry.required("tokens").elements()
      guard ids.count == tokens.count else { throw entry.refused("must have as many tokens as ids") }
      for (id, text) in zip(ids, tokens) { parts.append(.special(try Self.special(text, id, size), type: type)) }
      guard parts.count <= 1000 else { throw field.refused("has more than 1000 parts") }
    }
    for index in 0..<texts where !seen.contains(index) {
      throw field.refused("does not contain the sequence \"\(names[index])\"")
    }
    return Template(parts: parts)
  }

  private static func type(_ piece: JSONField) throws(FieldError) -> Int32 {
    Int32(truncatingIfNeeded: try piece.optional("type_id")?.integer(in: 0...255) ?? 0)
  }
}

extension JSONField {
  /// An id of the vocabulary. Vocabularies have at most some millions of entries; the bound limits the memory that a
  /// broken file can ask for.
  func tokenID() throws(FieldError) -> Int32 { Int32(try integer(in: 0...9_999_999)) }
}
