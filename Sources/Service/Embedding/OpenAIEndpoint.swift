import JSON

/// `POST /v1/embeddings` and `GET /v1/models`, as OpenAI defines them. Unknown fields are passed over.
struct OpenAIEndpoint: Sendable {
  let texts: TextEncoder
  let limits: Limits
  /// Seconds since 1970 when the model was loaded.
  let loadedAt: Int

  func embeddings(_ call: Call) throws {
    var fields = try Fields(try call.json(limits))
    let input = try fields.required("input")
    let model = try fields.string("model") ?? texts.encoder.name
    _ = try fields.string("user")
    var options = EmbeddingOptions()
    try options.readShape(&fields, texts.encoder)

    let sequences = try sequences(input, for: call)
    let tokens = sequences.reduce(0) { $0 + $1.count }
    texts.encode(sequences, for: call) { [options] pooled in
      let rows = try options.finish(pooled)
      call.answer(reserving: rows.values.count * 12 + 256) { writer in
        writer.beginObject()
        writer.member("object", "list")
        writer.key("data")
        writer.beginArray()
        for index in 0..<rows.rows {
          writer.beginObject()
          writer.member("object", "embedding")
          writer.member("index", index)
          writer.key("embedding")
          writer.row(index, of: rows, options.encoding)
          writer.endObject()
        }
        writer.endArray()
        writer.member("model", model)
        writer.key("usage")
        writer.beginObject()
        writer.member("prompt_tokens", tokens)
        writer.member("total_tokens", tokens)
        writer.endObject()
        writer.endObject()
      }
    }
  }

  /// A string, strings, token ids, or lists of token ids.
  private func sequences(_ input: JSONValue, for call: Call) throws(Problem) -> [[Int32]] {
    if input.kind == .string || (input.kind == .array && (input.count == 0 || Limits.startsWithString(input))) {
      return try texts.sequences(of: try limits.oneOrMoreTexts(input, field: "input"), field: "input", for: call)
    }
    guard let entries = input.elements else {
      throw .invalid("input", "must be a string, a list of strings, or token ids")
    }
    if entries.first?.kind == .number { return [try tokens(entries, "input")] }
    try limits.check(count: entries.count, field: "input")
    var sequences: [[Int32]] = []
    for (index, entry) in entries.enumerated() {
      guard let ids = entry.elements else {
        throw .invalid("input[\(index)]", "must be a list of token ids, as the first entry is")
      }
      sequences.append(try tokens(ids, "input[\(index)]"))
    }
    return sequences
  }

  /// Token ids, with the special tokens put around them where they are missing, cut to the model's length.
  private func tokens(_ entries: [JSONValue], _ field: String) throws(Problem) -> [Int32] {
    let vocabulary = texts.encoder.tokenizer.vocabularySize
    guard !entries.isEmpty else { throw .invalid(field, "must not be empty") }
    var ids: [Int32] = []
    for (index, entry) in entries.enumerated() {
      guard let id = entry.integer, id >= 0, id < vocabulary else {
        throw .invalid("\(field)[\(index)]", "must be a token id from 0 to \(vocabulary - 1)")
      }
      ids.append(Int32(id))
    }
    // What the tokenizer puts around an empty text is what it puts around any.
    let frame = texts.encoder.tokenizer.encode("", maxLength: .max).ids
    guard let first = frame.first, let last = frame.last, frame.count == 2 else {
      return Array(ids.prefix(texts.encoder.maxSequenceLength))
    }
    if ids.count >= 2, ids.first == first, ids.last == last { ids = Array(ids.dropFirst().dropLast()) }
    return [first] + ids.prefix(texts.encoder.maxSequenceLength - 2) + [last]
  }

  func models(_ call: Call) {
    call.answer { writer in
      writer.beginObject()
      writer.member("object", "list")
      writer.key("data")
      writer.beginArray()
      describe(to: &writer)
      writer.endArray()
      writer.endObject()
    }
  }

  /// `GET /v1/models/{model}`.
  func model(_ call: Call) throws {
    guard call.parameters.first == texts.encoder.name else {
      throw Problem(404, "the model '\(call.parameters.first ?? "")' does not exist", param: "model")
    }
    call.answer { describe(to: &$0) }
  }

  private func describe(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.member("id", texts.encoder.name)
    writer.member("object", "model")
    writer.member("created", loadedAt)
    writer.member("owned_by", "nearfar")
    writer.endObject()
  }
}
