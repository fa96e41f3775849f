import Encoder
import JSON
import Tokenization

/// What an embedding request wants embedded: texts, or sequences of token ids; one of them or a list.
struct EmbeddingInput: Sendable {
  private enum Content: Sendable {
    case texts([String])
    case ids([[Int32]])
  }

  private let content: Content
  /// The name of the field.
  private let field: String
  /// The field holds one sequence of ids itself; errors then name no entry.
  private let isOneSequence: Bool

  /// - Parameter vocabularySize: token ids are below this.
  /// - Throws: ``Problem`` naming `field` and the entry.
  init(_ value: JSONValue, field: String, vocabularySize: Int, _ limits: Limits) throws(Problem) {
    self.field = field
    if value.kind == .string || (value.kind == .array && (value.count == 0 || Limits.startsWithString(value))) {
      content = .texts(try limits.oneOrMoreTexts(value, field: field))
      isOneSequence = false
      return
    }
    guard let entries = value.elements else {
      throw .invalid(field, "must be a string, a list of strings, or token ids")
    }
    isOneSequence = entries.first?.kind == .number
    if isOneSequence {
      content = .ids([try Self.ids(entries, field, vocabularySize)])
      return
    }
    try limits.check(count: entries.count, field: field)
    var sequences: [[Int32]] = []
    for (index, entry) in entries.enumerated() {
      guard let ids = entry.elements else {
        throw .invalid("\(field)[\(index)]", "must be a list of token ids, as the first entry is")
      }
      sequences.append(try Self.ids(ids, "\(field)[\(index)]", vocabularySize))
    }
    content = .ids(sequences)
  }

  private init(_ content: Content, of other: EmbeddingInput) {
    self.content = content
    field = other.field
    isOneSequence = other.isOneSequence
  }

  /// Refuses a prompt for token ids, which are taken as they are. The prompt that stands for all requests is not put
  /// before them.
  func check(_ choice: PromptChoice) throws(Problem) {
    guard case .ids = content, choice != .standing else { return }
    var field = "prompt_name"
    if case .role = choice { field = "input_type" }
    throw .invalid(field, "token ids cannot be given a prompt")
  }

  /// The number of texts or sequences.
  var count: Int {
    switch content {
    case .texts(let texts): texts.count
    case .ids(let sequences): sequences.count
    }
  }

  /// Some of the entries. Errors name them by their numbers in the part.
  func part(_ range: Range<Int>) -> EmbeddingInput {
    switch content {
    case .texts(let texts): EmbeddingInput(.texts(Array(texts[range])), of: self)
    case .ids(let sequences): EmbeddingInput(.ids(Array(sequences[range])), of: self)
    }
  }

  /// About how many tokens there will be: of text, one for four bytes, and the special ones.
  func estimatedTokens(mostEach: Int) -> Int {
    switch content {
    case .texts(let texts): texts.reduce(0) { $0 + min(mostEach, $1.utf8.count / 4 + 2) }
    case .ids(let sequences): sequences.reduce(0) { $0 + min(mostEach, $1.count) }
    }
  }

  private static func ids(_ entries: [JSONValue], _ field: String, _ vocabularySize: Int) throws(Problem) -> [Int32] {
    guard !entries.isEmpty else { throw .invalid(field, "must not be empty") }
    var ids: [Int32] = []
    ids.reserveCapacity(entries.count)
    for (index, entry) in entries.enumerated() {
      guard let id = entry.integer, id >= 0, id < vocabularySize else {
        let range = "must be a token id from 0 to \(vocabularySize - 1)"
        // What is beyond them is most likely of a larger vocabulary.
        let isBeyond = entry.integer.map { $0 >= vocabularySize } ?? false
        throw .invalid("\(field)[\(index)]", isBeyond ? "\(range). \(TokenFraming.cure)" : range)
      }
      ids.append(Int32(id))
    }
    return ids
  }

  /// Makes sure that token ids are the model's own, as far as its special tokens tell.
  ///
  /// - Throws: ``Problem`` naming the first entry that does not have them.
  func requireOwnTokens(_ framing: TokenFraming) throws(Problem) {
    guard case .ids(let sequences) = content else { return }
    for (index, ids) in sequences.enumerated() {
      if let refusal = framing.refusal(ids) { throw .invalid(name(index), refusal) }
    }
  }

  /// The sequences that the encoder takes, in the order of the entries and not longer than the model allows.
  ///
  /// - Parameter addsSpecialTokens: put them around token ids that lack them; texts always get them.
  /// - Throws: ``Problem`` naming the entry that is too long and may not be cut.
  func sequences(
    _ texts: TextEncoder, _ options: TextOptions, addsSpecialTokens: Bool, for call: Call
  ) throws(Problem) -> [TokenSequence] {
    switch content {
    case .texts(let all): return try texts.sequences(of: all, options, name, for: call)
    case .ids(let sequences):
      let framing = TokenFraming(texts.encoder)
      let longest = texts.encoder.maxSequenceLength
      var cut: [TokenSequence] = []
      for (index, ids) in sequences.enumerated() {
        let whole = addsSpecialTokens ? framing.around(ids) : ids
        guard whole.count <= longest || options.truncate else {
          throw .invalid(name(index), "has more tokens than max_seq_length, which is \(longest)")
        }
        cut.append(texts.encoder.cut(whole, options.side))
      }
      return cut
    }
  }

  /// What errors call the entries.
  var name: TextNames {
    guard isOneSequence else { return entryNames(of: field) }
    return { [field] _ in field }
  }
}
