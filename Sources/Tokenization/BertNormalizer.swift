import JSON

/// BERT's normaliser, `BertNormalizer` in tokenizer.json: what a text goes through before it is split into words.
struct BertNormalizer: Sendable, Equatable {
  /// Control characters are dropped, and every white space becomes a space.
  var cleansText = true
  /// Each CJK ideograph is set apart by spaces.
  var splitsChinese = true
  /// Characters are decomposed, and marks without width are dropped.
  var stripsAccents = true
  var lowercases = true

  /// What the normaliser makes of one scalar.
  enum Output {
    /// The scalar itself.
    case unchanged
    /// Scalars in its place, with a space on each side where `isSetApart`.
    case scalars([UInt32], isSetApart: Bool)
    /// White space, which becomes a space.
    case space
    /// Nothing. `blocksMarks` where combining marks do not move across the place in canonical ordering.
    case nothing(blocksMarks: Bool)
    /// A Hangul syllable, to be decomposed into its letters.
    case hangul
    /// It holds a combining mark that stays and that canonical ordering may move: ``Scan/takeMarks()``.
    case reordered
  }

  func normalize(_ scalar: UInt32, _ unicode: UnicodeTables) -> Output {
    let properties = unicode.properties(of: scalar)
    if properties.isEmpty {
      return stripsAccents && UnicodeTables.hangul.contains(scalar) ? .hangul : .unchanged
    }
    if cleansText {
      if properties.contains(.removed) { return .nothing(blocksMarks: false) }
      if properties.contains(.space) { return .space }
    }
    var parts = [scalar]
    if stripsAccents {
      parts = unicode.decomposition(of: scalar)
      let blocksMarks = parts.contains { unicode.combiningClass(of: $0) == 0 }
      for part in parts where unicode.combiningClass(of: part) != 0 {
        if !unicode.properties(of: part).contains(.mark) { return .reordered }
      }
      parts.removeAll { unicode.properties(of: $0).contains(.mark) }
      if parts.isEmpty { return .nothing(blocksMarks: blocksMarks) }
    }
    if lowercases { parts = parts.flatMap(unicode.lowercase) }
    return .scalars(parts, isSetApart: splitsChinese && properties.contains(.chinese))
  }
}

extension BertNormalizer {
  /// The section `normalizer` of tokenizer.json.
  init(_ section: JSONField) throws(FieldError) {
    lowercases = try section.required("lowercase").bool()
    cleansText = try section.required("clean_text").bool()
    splitsChinese = try section.required("handle_chinese_chars").bool()
    // null means: as `lowercase` says.
    stripsAccents = try section.optional("strip_accents")?.bool() ?? lowercases
  }
}
