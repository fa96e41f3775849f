import Encoder
import JSON
import Platform
import SimilarityCore

/// Ollama's routes for embeddings, as its clients call them: `POST /api/embed`, and `POST /api/embeddings`, which came
/// before it. Unknown fields are ignored, as they are there; so are `options` and `keep_alive`, since the model is
/// always loaded and has one length.
struct OllamaEndpoint: Sendable {
  let models: TextModels
  let limits: Limits
  /// Seconds since 1970 when the model was loaded.
  let loadedAt: Int

  /// Many texts. The vectors have length 1, whatever the model's folder says.
  func embed(_ call: Call) throws {
    let began = SystemClock.monotonic
    var fields = try Fields(try call.json(limits))
    let asked = try fields.string("model")
    let texts = try encoder(named: asked)
    let model = asked ?? texts.name
    let inputs = try inputs(&fields)
    var options = TextOptions()
    options.prompt = texts.prompts.standard
    options.truncate = try fields.bool("truncate", default: true)
    var shape = VectorShape(normalize: true)
    // 0 stands for all, which is what a Go client without a wish sends.
    let dimensions = try fields.integer("dimensions", in: 0...texts.encoder.dimension)
    shape.dimensions = dimensions == 0 ? nil : dimensions

    @Sendable func answer(_ rows: Matrix?, tokens: Int) {
      call.answer(reserving: (rows?.values.count ?? 0) * 13 + 256) { writer in
        writer.object { writer in
          writer.member("model", model)
          writer.key("embeddings")
          writer.array { writer in
            guard let rows else { return }
            for index in 0..<rows.rows { writer.row(index, of: rows, .float) }
          }
          writer.member("total_duration", Int(clamping: SystemClock.monotonic &- began))
          // It was loaded when the service started.
          writer.member("load_duration", 0)
          writer.member("prompt_eval_count", tokens)
        }
      }
    }
    guard !inputs.isEmpty else { return answer(nil, tokens: 0) }
    let names = entryNames(of: "input")
    let sequences = try texts.sequences(of: inputs, options, names, for: call)
    let tokens = sequences.reduce(0) { $0 + $1.count }
    try texts.encode(sequences, names, shape, for: call) { answer($0, tokens: tokens) }
  }

  /// The model of a name, which clients complete by a tag.
  func encoder(named name: String?) throws(Problem) -> TextEncoder {
    let tag = ":latest"
    if let exact = models.all.first(where: { $0.name == name }) { return exact }
    return try models.named(name.map { $0.hasSuffix(tag) ? String($0.dropLast(tag.count)) : $0 })
  }

  /// `input`: a text or a list of texts. Ollama takes an empty text that stands alone, and none, for a wish to load the
  /// model.
  private func inputs(_ fields: inout Fields) throws(Problem) -> [String] {
    guard let value = fields.take("input"), value.string != "", value.kind != .array || value.count > 0 else {
      return []
    }
    return try limits.oneOrMoreTexts(value, field: "input")
  }

  /// One text. Ollama gives its vector as the model makes it, so it has length 1 only where the model's folder says so.
  func embeddings(_ call: Call) throws {
    var fields = try Fields(try call.json(limits))
    let texts = try encoder(named: try fields.string("model"))
    guard let value = fields.take("prompt") else {
      // A client of another interface may have been given a base URL that ends in /api.
      guard fields.take("input") == nil else {
        throw Problem.invalid(
          "prompt",
          "is required: this is Ollama's older route. Send 'input' to /api/embed, "
            + "or to /v1/embeddings as OpenAI's clients do"
        )
      }
      return answer(call, vector: nil)
    }
    let prompt = try limits.text(value, field: "prompt")
    guard !prompt.isEmpty else { return answer(call, vector: nil) }
    let names: TextNames = { _ in "prompt" }
    let sequences = try texts.sequences(of: [prompt], prompt: texts.prompts.standard, names, for: call)
    try texts.encode(sequences, names, VectorShape(normalize: nil), for: call) { rows in
      answer(call) { $0.row(0, of: rows, .float) }
    }
  }

  /// - Parameter vector: writes it; nil for a request without a text, which is answered with an empty one.
  private func answer(_ call: Call, vector: ((inout JSONWriter) -> Void)?) {
    call.answer(reserving: models.first.encoder.dimension * 13 + 64) { writer in
      writer.object { writer in
        writer.key("embedding")
        if let vector { vector(&writer) } else { writer.array { _ in } }
      }
    }
  }
}
