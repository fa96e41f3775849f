import JSON
import Tokenization

/// What an embedding request wants embedded, as it stands in the body: a text, token ids, or a list of either.
struct EmbeddingInput: Sendable {
  enum Entry: Sendable {
    case text(String)
    case ids([Int32])
  }

  private let entries: [Entry]
  /// The name of the field.
  private let field: String
  /// The body is one text or one list of token ids; errors then name no entry.
  private let isSingle: Bool

  /// - Parameter vocabularySize: token ids are below this.
  /// - Throws: ``Problem`` naming `field` and the entry.
  init(_ value: JSONValue, field: String, vocabularySize: Int, _ limits: Limits) throws(Problem) {
    self.field = field
    if value.kind == .string || (value.kind == .array && (value.count == 0 || Limits.startsWithString(value))) {
      entries = try limits.oneOrMoreTexts(value, field: field).map(Entry.text)
      isSingle = false
      return
    }
    guard let elements = value.elements else {
      throw .invalid(field, "must be a string, a list of strings, or token ids")
    }
    isSingle = elements.first?.kind == .number
    if isSingle {
      entries = [.ids(try Self.ids(elements, field, vocabularySize))]
      return
    }
    try limits.check(count: elements.count, field: field)
    var entries: [Entry] = []
    for (index, element) in elements.enumerated() {
      let place = "\(field)[\(index)]"
      if element.kind == .string {
        entries.append(.text(try limits.text(element, field: place)))
      } else if let ids = element.elements {
        entries.append(.ids(try Self.ids(ids, place, vocabularySize)))
      } else {
        throw .invalid(place, "must be a string or a list of token ids")
      }
    }
    self.entries = entries
  }

  private static func ids(_ elements: [JSONValue], _ field: String, _ vocabularySize: Int) throws(Problem) -> [Int32] {
    guard !elements.isEmpty else { throw .invalid(field, "must not be empty") }
    var ids: [Int32] = []
    ids.reserveCapacity(elements.count)
    for (index, element) in elements.enumerated() {
      guard let id = element.integer, id >= 0, id < vocabularySize else {
        throw .invalid("\(field)[\(index)]", "must be a token id from 0 to \(vocabularySize - 1)")
      }
      ids.append(Int32(id))
    }
    return ids
  }

  /// The sequences that the encoder takes, in the order of the entries.
  ///
  /// - Parameter frame: what the tokenizer puts around every text, put around token ids that lack it; nil takes them as they are.
  /// - Throws: ``Problem`` naming the entry that is too long and may not be cut.
  func sequences(
    _ texts: TextEncoder, _ options: TextOptions = TextOptions(), frame: [Int32]? = nil, for call: Call
  ) throws(Problem) -> [[Int32]] {
    if entries.allSatisfy({ if case .text = $0 { true } else { false } }) {
      let all = entries.compactMap { if case .text(let text) = $0 { text } else { nil } }
      return try texts.sequences(of: all, options, field: field, for: call)
    }
    var sequences: [[Int32]] = []
    for (index, entry) in entries.enumerated() {
      let place = isSingle ? field : "\(field)[\(index)]"
      switch entry {
      case .text(let text):
        do throws(Problem) {
          sequences += try texts.sequences(of: [text], options, field: field, for: call)
        } catch {
          throw Problem(error.status, error.detail, param: place)
        }
      case .ids(let ids):
        guard options.prompt.isEmpty else { throw .invalid("prompt_name", "has no use beside token ids") }
        sequences.append(try texts.cut(Self.framed(ids, by: frame), options, place: place))
      }
    }
    return sequences
  }

  /// Puts the special tokens around ids that do not have them.
  private static func framed(_ ids: [Int32], by frame: [Int32]?) -> [Int32] {
    guard let frame, frame.count == 2, let first = frame.first, let last = frame.last else { return ids }
    if ids.count >= 2, ids.first == first, ids.last == last { return ids }
    return [first] + ids + [last]
  }
}

extension TextEncoder {
  /// A sequence cut to the model's length; special tokens at its ends stay.
  fileprivate func cut(_ ids: [Int32], _ options: TextOptions, place: String) throws(Problem) -> [Int32] {
    let longest = encoder.maxSequenceLength
    guard ids.count > longest else { return ids }
    guard options.truncate else {
      throw .invalid(place, "has more tokens than max_seq_length, which is \(longest)")
    }
    let frame = frame
    guard frame.count == 2, longest >= 2, ids.first == frame.first, ids.last == frame.last else {
      return Array(options.side == .left ? ids.suffix(longest) : ids.prefix(longest))
    }
    let inner = ids.dropFirst().dropLast()
    return frame.prefix(1) + (options.side == .left ? inner.suffix(longest - 2) : inner.prefix(longest - 2))
      + frame.suffix(1)
  }

  /// What the tokenizer puts around every text: what it makes of an empty one.
  var frame: [Int32] { encoder.tokenizer.encode("", maxLength: .max).ids }
}
