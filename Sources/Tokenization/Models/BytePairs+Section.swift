import JSON

extension BytePairs {
  /// Reads the section `model` of tokenizer.json.
  init(_ section: JSONField) throws(FieldError) {
    if let dropout = section.optional("dropout"), try dropout.number() != 0 {
      throw dropout.refused("must be null or 0, because tokens would differ from one time to the next")
    }
    let vocabulary = Vocabulary(try Vocabulary.entries(of: section.required("vocab")))
    var options = Options()
    options.fusesUnknown = try section.optional("fuse_unk")?.bool() ?? false
    options.ignoresMerges = try section.optional("ignore_merges")?.bool() ?? false
    options.prefix = Array(try section.optional("continuing_subword_prefix")?.string().utf8 ?? "".utf8)
    options.suffix = Array(try section.optional("end_of_word_suffix")?.string().utf8 ?? "".utf8)
    let byteTokens =
      try section.optional("byte_fallback")?.bool() == true ? vocabulary.byteTokens() : nil
    if let field = section.optional("unk_token") {
      let text = try field.string()
      options.unknown = vocabulary.id(of: text)
      // A vocabulary that has all bytes needs no unknown token, and some name one that is not in it.
      let isComplete =
        byteTokens?.allSatisfy { $0 != nil } == true
        || ByteAlphabet.characters.allSatisfy {
          Unicode.Scalar($0).map { vocabulary.id(of: String(Character($0))) != nil } ?? false
        }
      if options.unknown == nil && !isComplete { throw field.refused("\"\(text)\" is not in the vocabulary") }
    }
    let merges = try Self.merges(section.required("merges"), vocabulary, prefix: options.prefix.count)
    self.init(vocabulary, merges: merges, byteTokens: byteTokens, options)
  }

  /// The list of merges by rank, each `"a b"` or `["a", "b"]`.
  private static func merges(
    _ field: JSONField, _ vocabulary: Vocabulary, prefix: Int
  ) throws(FieldError) -> [(first: Int32, second: Int32, whole: Int32)] {
    guard let elements = field.value.elements else { throw field.refused("must be an array") }
    guard elements.count <= 10_000_000 else { throw field.refused("has more than 10000000 entries") }
    var result: [(first: Int32, second: Int32, whole: Int32)] = []
    result.reserveCapacity(elements.count)
    for (index, element) in elements.enumerated() {
      func refused(_ message: String) -> FieldError { FieldError(key: "\(field.key)[\(index)]", message: message) }
      func add(_ left: some Collection<UInt8>, _ right: some Collection<UInt8>) throws(FieldError) {
        guard let first = vocabulary.id(of: left), let second = vocabulary.id(of: right), right.count >= prefix,
          let whole = vocabulary.id(of: left, and: right.dropFirst(prefix))
        else { throw refused("has a text that is not in the vocabulary, or makes one") }
        result.append((first, second, whole))
      }
      if let line = element.string {
        // The first line of a file of merges says its version.
        if line.hasPrefix("#version") { continue }
        let parts = line.utf8.split(separator: 0x20, omittingEmptySubsequences: false)
        guard parts.count == 2 else { throw refused("must be two texts") }
        try add(parts[0], parts[1])
      } else {
        guard let parts = element.elements, parts.count == 2, let left = parts[0].string, let right = parts[1].string
        else { throw refused("must be two texts") }
        try add(left.utf8, right.utf8)
      }
    }
    return result
  }
}
