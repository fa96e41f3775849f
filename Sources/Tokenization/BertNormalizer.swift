import JSON

/// The normaliser of BERT, `BertNormalizer` in tokenizer.json, which changes a text before it is split into words.
struct BertNormalizer: Sendable, Equatable {
  /// Control characters are removed, and each white space character becomes a space (`clean_text`).
  var cleansText = true
  /// A space is put on each side of every CJK ideograph (`handle_chinese_chars`).
  var splitsChinese = true
  /// Characters are decomposed, and marks without width are removed (`strip_accents`).
  var stripsAccents = true
  /// Letters become lowercase (`lowercase`).
  var lowercases = true

  /// What becomes of one scalar.
  enum Output {
    /// It stays as it is.
    case unchanged
    /// It is replaced by these scalars, with a space on each side where `isSetApart`.
    case scalars([UInt32], isSetApart: Bool)
    /// It is white space, and becomes a space.
    case space
    /// It is removed. `blocksMarks` says that canonical ordering does not move combining marks across its place.
    case nothing(blocksMarks: Bool)
    /// It is a Hangul syllable, which is decomposed into its letters.
    case hangul
    /// Its decomposition has a combining mark that stays and that canonical ordering may move; ``Scan/takeMarks()``
    /// reads it.
    case reordered
  }

  /// What the normaliser makes of one scalar.
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
    // null stands for the value of `lowercase`.
    stripsAccents = try section.optional("strip_accents")?.bool() ?? lowercases
  }
}
