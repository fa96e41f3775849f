import JSON

/// The post-processor, `TemplateProcessing` in tokenizer.json, which puts special tokens before and after those of a
/// text.
struct TemplateProcessing: Sendable {
  var before: [Token] = []
  var after: [Token] = []

  /// The number of special tokens.
  var count: Int { before.count + after.count }

  /// The ids of a text between the special tokens, at most `maxLength` in all. The ids of the text are cut off first.
  func apply(to ids: [Int32], maxLength: Int) -> [Int32] {
    let maxLength = max(0, maxLength)
    let room = max(0, maxLength - count)
    var result: [Int32] = []
    result.reserveCapacity(count + min(ids.count, room))
    for token in before { result.append(token.id) }
    result += ids.prefix(room)
    for token in after { result.append(token.id) }
    // This happens only when there are more special tokens than `maxLength`.
    if result.count > maxLength { result.removeLast(result.count - maxLength) }
    return result
  }
}

extension TemplateProcessing {
  /// The section `post_processor` of tokenizer.json.
  init(_ section: JSONField, vocabularySize: Int) throws(FieldError) {
    var seenText = false
    for piece in try section.required("single").elements() {
      if let text = piece.optional("Sequence") {
        let id = try text.required("id")
        if try id.string() != "A" || seenText { throw id.refused("must be \"A\" and occur only once") }
        try Self.requireFirstType(text)
        seenText = true
        continue
      }
      let special = try piece.required("SpecialToken")
      try Self.requireFirstType(special)
      let name = try special.required("id").string()
      let entry = try section.required("special_tokens").required(name)
      let ids = try entry.required("ids").elements()
      let texts = try entry.required("tokens").elements()
      guard ids.count == texts.count else { throw entry.refused("must have as many tokens as ids") }
      for (id, text) in zip(ids, texts) {
        let value = try id.tokenID()
        guard value < vocabularySize else { throw id.refused("is not in the vocabulary") }
        let token = Token(id: value, text: try text.string(), special: true, start: nil, stop: nil)
        if seenText { after.append(token) } else { before.append(token) }
      }
    }
    guard seenText else { throw try section.required("single").refused("does not contain the sequence \"A\"") }
  }

  /// All tokens of a single text have token type 0, because the encoder takes no other.
  private static func requireFirstType(_ piece: JSONField) throws(FieldError) {
    if let type = piece.optional("type_id") { _ = try type.integer(in: 0...0) }
  }
}

extension JSONField {
  /// An id of the vocabulary. Vocabularies have at most some millions of entries; the bound limits the memory that a
  /// broken file can ask for.
  func tokenID() throws(FieldError) -> Int32 { Int32(try integer(in: 0...9_999_999)) }
}
