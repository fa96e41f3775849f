import JSON

/// `tokenizer.json`, which holds the whole pipeline in one section for each step, each with its type. The type of each
/// step reads its own section; a section of a type that is not implemented is rejected with its key.
struct TokenizerFile {
  let root: JSONField

  private static let models = ["BPE", "Unigram", "WordLevel", "WordPiece"]

  func parts(_ settings: TokenizerSettings) throws(FieldError) -> TokenizerParts {
    let model = try self.model()
    let added = try addedTokens(model)
    let engine: TokenizerParts.Engine
    if let wordPiece = model as? WordPiece, type(of: "normalizer") == "BertNormalizer",
      type(of: "pre_tokenizer") == "BertPreTokenizer"
    {
      let normalizer = try BertNormalizer(root.required("normalizer"))
      try settings.check(against: normalizer)
      engine = .bert(Pipeline(normalizer: normalizer, model: wordPiece, added: added))
    } else {
      let normalizer = try Normalizer(root.optional("normalizer"))
      if case .bert(let bert)? = normalizer.steps.first, normalizer.steps.count == 1 {
        try settings.check(against: bert)
      }
      let preTokenizer = try PreTokenizer(root.optional("pre_tokenizer"))
      engine = .general(TextPipeline(normalizer: normalizer, preTokenizer: preTokenizer, model: model, added: added))
    }
    let (truncatesLeft, longest) = try truncation()
    let postProcessor = try PostProcessor(root.optional("post_processor"), vocabularySize: engine.texts.count)
    return TokenizerParts(
      engine: engine, postProcessor: postProcessor, truncatesLeft: settings.truncatesLeft ?? truncatesLeft,
      longest: longest)
  }

  private func type(of name: String) -> String? { root.optional(name)?.optional("type")?.value.string }

  private func model() throws(FieldError) -> any WordModel {
    let section = try root.required("model")
    switch try section.required("type").string(oneOf: Self.models) {
    case "BPE": return try BytePairs(section)
    case "Unigram": return try Unigram(section)
    case "WordLevel": return try WordLevel(section)
    default: return try WordPiece.read(section)
    }
  }

  /// The section `truncation`: the end that long texts are cut at, and the most tokens of a text.
  private func truncation() throws(FieldError) -> (left: Bool, longest: Int?) {
    guard let section = root.optional("truncation") else { return (false, nil) }
    let direction = try section.optional("direction")?.string(oneOf: ["Right", "Left"])
    return (direction == "Left", try section.optional("max_length")?.integer(in: 1...Int.max))
  }

  /// The added tokens. The reference gives them ids of its own: that of the vocabulary, or else the next after it. A file
  /// that says otherwise is refused, because it is unknown which of the two the model was trained with.
  private func addedTokens(_ model: any WordModel) throws(FieldError) -> [AddedToken] {
    var tokens: [AddedToken] = []
    var next = Int32(truncatingIfNeeded: min(model.entries, 10_000_000))
    var known: [String: Int32] = [:]
    for entry in try root.optional("added_tokens")?.elements() ?? [] {
      let id = try entry.required("id")
      let token = try AddedToken(id: id.tokenID(), entry)
      if token.content.isEmpty { continue }
      if let known = known[token.content] ?? model.id(of: token.content) {
        if known != token.id { throw id.refused("\"\(token.content)\" has the id \(known) in the vocabulary") }
      } else {
        if next != token.id { throw id.refused("\"\(token.content)\" must have the id \(next), the next that is free") }
        next += 1
      }
      known[token.content] = token.id
      tokens.append(token)
    }
    try root.optional("added_tokens")?.refuseBeyondTrie(tokens.map(\.content))
    return tokens
  }
}

/// What a folder says about its tokenizer.
struct TokenizerParts: Sendable {
  enum Engine: Sendable {
    case bert(Pipeline)
    case general(TextPipeline)

    /// The text of each id; empty where an id has none.
    var texts: [String] {
      switch self {
      case .bert(let pipeline): pipeline.texts
      case .general(let pipeline): pipeline.texts
      }
    }

    /// The tokens of a text, read until there are more than `limit` of them.
    func scan(_ text: String, limit: Int, isTraced: Bool) -> TokenList {
      switch self {
      case .bert(let pipeline): pipeline.model.scan(pipeline, text, limit: limit, isTraced: isTraced)
      case .general(let pipeline): pipeline.scan(text, limit: limit, isTraced: isTraced)
      }
    }
  }

  let engine: Engine
  let postProcessor: PostProcessor
  /// Whether what is too long loses its beginning instead of its end.
  let truncatesLeft: Bool
  /// The most tokens of a text that the file states.
  var longest: Int?

  /// The ids of a text, as many as there is room for, and whether there were more.
  func ids(of text: String, room: Int) -> (ids: ArraySlice<Int32>, isCut: Bool) {
    let found = engine.scan(text, limit: truncatesLeft ? .max - 1 : room, isTraced: false).ids
    return (kept(found, room), found.count > room)
  }

  private func kept(_ ids: [Int32], _ room: Int) -> ArraySlice<Int32> {
    truncatesLeft ? ids.suffix(room) : ids.prefix(room)
  }

  /// The ids of two texts, as many as there is room for in all, and whether there were more. The longer text is cut off
  /// first (`longest_first`); where both are longer than half of the room, each gets half of it, and the longer one of
  /// an odd number.
  func ids(of pair: (String, String), room: Int) -> (ids: [ArraySlice<Int32>], isCut: Bool) {
    let limit = truncatesLeft ? Int.max - 1 : room
    var first = engine.scan(pair.0, limit: limit, isTraced: false).ids
    var second = engine.scan(pair.1, limit: limit, isTraced: false).ids
    if first.count + second.count <= room { return ([first[...], second[...]], false) }
    if !truncatesLeft && min(first.count, second.count) > room {
      // Which of the two is longer is not known yet.
      first = engine.scan(pair.0, limit: .max - 1, isTraced: false).ids
      second = engine.scan(pair.1, limit: .max - 1, isTraced: false).ids
    }
    return share(first, second, room)
  }

  /// As ``ids(of:room:)`` of a pair whose first text has been read. The second is read no further than shows which of the
  /// two is longer.
  func ids(of first: [Int32], _ text: String, room: Int) -> (ids: [ArraySlice<Int32>], isCut: Bool) {
    let limit = truncatesLeft ? Int.max - 1 : max(room, first.count)
    let second = engine.scan(text, limit: limit, isTraced: false).ids
    if first.count + second.count <= room { return ([first[...], second[...]], false) }
    return share(first, second, room)
  }

  /// What fits of two texts that are too long together.
  private func share(_ first: [Int32], _ second: [Int32], _ room: Int) -> (ids: [ArraySlice<Int32>], isCut: Bool) {
    var short = min(first.count, second.count)
    var long = short > room ? short : max(short, room - short)
    if short + long > room {
      short = room / 2
      long = short + room % 2
    }
    let sizes = first.count > second.count ? (long, short) : (short, long)
    return ([kept(first, sizes.0), kept(second, sizes.1)], true)
  }
}
