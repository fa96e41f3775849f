import JSON

/// `POST /v1/embeddings` and `GET /v1/models`, as OpenAI defines them. Unknown fields are ignored.
struct OpenAIEndpoint: Sendable {
  let models: TextModels
  let limits: Limits
  /// Seconds since 1970 when the model was loaded.
  let loadedAt: Int
  /// Whether token ids are taken that may be another model's.
  let acceptsTokenIds: Bool

  func embeddings(_ call: Call) throws {
    var fields = try Fields(try call.json(limits))
    let input = try fields.required("input")
    let asked = try fields.string("model")
    let texts = try models.named(asked)
    let model = asked ?? texts.name
    _ = try fields.string("user")
    var options = EmbeddingOptions()
    try options.readShape(&fields, texts.encoder)
    let choice = try PromptChoice(&fields)
    options.text.prompt = try choice.text(texts.encoder, standing: texts.prompts.standard)

    let tokenizer = texts.encoder.tokenizer
    let entries = try EmbeddingInput(input, field: "input", vocabularySize: tokenizer.vocabularySize, limits)
    try entries.check(choice)
    if !acceptsTokenIds { try entries.requireOwnTokens(TokenFraming(texts.encoder)) }
    let sequences = try entries.sequences(texts, options.text, addsSpecialTokens: true, for: call)
    let tokens = sequences.reduce(0) { $0 + $1.count }
    try texts.encode(sequences, entries.name, options.shape, for: call) { [options] rows in
      call.answer(reserving: rows.values.count * 13 + 256) { writer in
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

  func models(_ call: Call) {
    call.answer { writer in
      writer.beginObject()
      writer.member("object", "list")
      writer.key("data")
      writer.beginArray()
      for texts in models.all { describe(texts, to: &writer) }
      writer.endArray()
      writer.endObject()
    }
  }

  /// `GET /v1/models/{model}`.
  func model(_ call: Call) throws {
    guard let texts = models.all.first(where: { $0.name == call.parameters.first }) else {
      throw Problem(404, "the model '\(call.parameters.first ?? "")' does not exist", param: "model")
    }
    call.answer { describe(texts, to: &$0) }
  }

  private func describe(_ texts: TextEncoder, to writer: inout JSONWriter) {
    writer.beginObject()
    writer.member("id", texts.name)
    writer.member("object", "model")
    writer.member("created", loadedAt)
    writer.member("owned_by", "nearfar")
    writer.endObject()
  }
}
