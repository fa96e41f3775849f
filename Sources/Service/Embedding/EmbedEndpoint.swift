import Encoder
import HTTP1
import JSON
import Safetensors
import SimilarityCore

/// `POST /embed`: texts or token ids to vectors, in text-embeddings-inference's shape. Unknown fields are ignored, as they are there:
/// clients send `options` and others along.
struct EmbedEndpoint: Sendable {
  let models: TextModels
  let limits: Limits

  func run(_ call: Call) throws {
    try run(call, try Fields(try call.json(limits)))
  }

  func run(_ call: Call, _ body: Fields) throws {
    var fields = body
    let texts = try models.chosen(&fields)
    let input = try EmbeddingInput(
      try fields.required("inputs"), field: "inputs", vocabularySize: texts.encoder.tokenizer.vocabularySize, limits)
    var options = EmbeddingOptions()
    options.shape.normalize = try fields.bool("normalize", default: true)
    let choice = try PromptChoice(&fields)
    options.text = try EmbeddingOptions.text(&fields, choice, texts)
    try input.check(choice)
    try options.readShape(&fields, texts.encoder)

    guard input.count <= EmbeddingStream.mostTextsAtOnce else { return try stream(input, options, texts, for: call) }
    let sequences = try input.sequences(texts, options.text, addsSpecialTokens: false, for: call)
    try texts.encode(sequences, input.name, options.shape, for: call) { [options] rows in
      if call.answerType == .safetensors {
        var archive = SafetensorsWriter()
        try archive.add("embeddings", rows)
        return call.answer(Response(.safetensors, archive.serialize()))
      }
      call.answer(reserving: rows.values.count * 13 + 64) { writer in
        writer.beginArray()
        for index in 0..<rows.rows { writer.row(index, of: rows, options.encoding) }
        writer.endArray()
      }
    }
  }
}

extension EmbedEndpoint {
  /// Answers a request of many texts piece by piece.
  private func stream(
    _ input: EmbeddingInput, _ options: EmbeddingOptions, _ texts: TextEncoder, for call: Call
  ) throws {
    let dimension = options.shape.dimensions ?? texts.encoder.dimension
    let form: any EmbeddingStream.Form =
      call.answerType == .safetensors
      ? SafetensorsRows(rows: input.count, columns: dimension) : JSONRows(encoding: options.encoding)
    try texts.admit(tokens: input.estimatedTokens(mostEach: texts.encoder.maxSequenceLength), for: call)
    // Texts that may not be cut are looked at before the answer begins, since one that is too long is the client's mistake.
    let all =
      options.text.truncate ? nil : try input.sequences(texts, options.text, addsSpecialTokens: false, for: call)
    EmbeddingStream(input.count, input.name, options.shape, form, texts: texts, for: call) { [texts] range in
      try all.map { Array($0[range]) }
        ?? input.part(range).sequences(texts, options.text, addsSpecialTokens: false, for: call)
    }.start()
  }
}

/// The options that an embedding request shares with text-embeddings-inference.
struct EmbeddingOptions: Sendable {
  var text = TextOptions()
  var shape = VectorShape(normalize: true)
  var encoding = VectorEncoding.float

  /// Reads `truncate` and `truncation_direction`.
  static func text(
    _ fields: inout Fields, _ choice: PromptChoice, _ texts: TextEncoder
  ) throws(Problem) -> TextOptions {
    var options = TextOptions()
    options.truncate = try fields.bool("truncate", default: true)
    if let side = try fields.string("truncation_direction") {
      guard ["Right", "Left", "right", "left"].contains(side) else {
        throw .invalid(fields.name("truncation_direction"), "must be one of Right, Left, right, left")
      }
      options.side = side.lowercased() == "left" ? .left : .right
    }
    options.prompt = try choice.text(
      texts.encoder, standing: texts.prompts.standard, field: fields.name("prompt_name"))
    return options
  }

  /// Reads `dimensions` and `encoding_format`.
  mutating func readShape(_ fields: inout Fields, _ encoder: SentenceEncoder) throws(Problem) {
    shape.dimensions = try fields.integer("dimensions", in: 1...encoder.dimension)
    let name = try fields.choice("encoding_format", of: VectorEncoding.allCases.map(\.rawValue))
    encoding = VectorEncoding(rawValue: name) ?? .float
  }
}
