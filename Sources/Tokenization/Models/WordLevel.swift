import JSON

/// A model that knows whole words alone.
struct WordLevel: WordModel {
  private let vocabulary: Vocabulary
  private let unknown: Int32

  var texts: [String] { vocabulary.texts }
  var entries: Int { vocabulary.entries }

  func id(of token: String) -> Int32? { vocabulary.id(of: token) }

  func encode(_ word: UnsafeBufferPointer<UInt8>, _ scratch: inout ModelScratch, into sink: inout TokenSink) {
    sink.append(vocabulary.id(of: word) ?? unknown, 0, word.count)
  }
}

extension WordLevel {
  /// Reads the section `model` of tokenizer.json.
  init(_ section: JSONField) throws(FieldError) {
    vocabulary = Vocabulary(try Vocabulary.entries(of: section.required("vocab")))
    let field = try section.required("unk_token")
    let text = try field.string()
    guard let id = vocabulary.id(of: text) else { throw field.refused("\"\(text)\" is not in the vocabulary") }
    unknown = id
  }
}
