import HTTP1
import JSON
import Safetensors
import SentenceEncoder
import SimilarityCore

/// `POST /embed`: texts or token ids to vectors, in text-embeddings-inference's shape. Unknown fields are ignored, as they are there:
/// clients send `options` and others along.
struct EmbedEndpoint: Sendable {
  let texts: TextEncoder
  let limits: Limits

  func run(_ call: Call) throws {
    try run(call, try Fields(try call.json(limits)))
  }

  func run(_ call: Call, _ body: Fields) throws {
    var fields = body
    let input = try EmbeddingInput(
      try fields.required("inputs"), field: "inputs", vocabularySize: texts.encoder.tokenizer.vocabularySize, limits)
    var options = EmbeddingOptions()
    options.normalize = try fields.bool("normalize", default: true)
    options.text = try EmbeddingOptions.text(&fields, texts.encoder)
    try options.readShape(&fields, texts.encoder)

    let sequences = try input.sequences(texts, options.text, addsSpecialTokens: false, for: call)
    texts.encode(sequences, for: call) { [options] pooled in
      let rows = try options.finish(pooled)
      if call.answerType == .safetensors {
        var archive = SafetensorsWriter()
        try archive.add("embeddings", rows)
        return call.answer(Response(.safetensors, archive.serialize()))
      }
      call.answer(reserving: rows.values.count * 12 + 64) { writer in
        writer.beginArray()
        for index in 0..<rows.rows { writer.row(index, of: rows, options.encoding) }
        writer.endArray()
      }
    }
  }
}

/// The options that an embedding request shares with text-embeddings-inference.
struct EmbeddingOptions: Sendable {
  var text = TextOptions()
  /// Rows are divided by their Euclidean norm.
  var normalize = true
  /// Keep this many leading values and normalise again.
  var dimensions: Int?
  var encoding = VectorEncoding.float

  /// Reads `truncate`, `truncation_direction` and `prompt_name`.
  static func text(_ fields: inout Fields, _ encoder: SentenceEncoder) throws(Problem) -> TextOptions {
    var options = TextOptions()
    options.truncate = try fields.bool("truncate", default: true)
    let side = try fields.choice("truncation_direction", of: ["Right", "Left", "right", "left"])
    options.side = side.lowercased() == "left" ? .left : .right
    options.prompt = try prompt(&fields, encoder)
    return options
  }

  /// Reads `prompt_name`: the text that the model's folder keeps under that name; empty without one.
  static func prompt(_ fields: inout Fields, _ encoder: SentenceEncoder) throws(Problem) -> String {
    guard let name = try fields.string("prompt_name") else { return "" }
    guard let prompt = encoder.prompts[name] else {
      let known = encoder.prompts.keys.sorted().joined(separator: ", ")
      throw .invalid(fields.name("prompt_name"), "the model has no prompt '\(name)'; it has: \(known)")
    }
    return prompt
  }

  /// Reads `dimensions` and `encoding_format`.
  mutating func readShape(_ fields: inout Fields, _ encoder: SentenceEncoder) throws(Problem) {
    dimensions = try fields.integer("dimensions", in: 1...encoder.dimension)
    let name = try fields.choice("encoding_format", of: VectorEncoding.allCases.map(\.rawValue))
    encoding = VectorEncoding(rawValue: name) ?? .float
  }

  /// Applies normalisation and shortening to pooled rows.
  ///
  /// - Throws: ``Problem`` naming the row when one has no direction.
  func finish(_ pooled: Matrix) throws(Problem) -> Matrix {
    do throws(ZeroRow) {
      var rows = normalize ? try pooled.normalized() : pooled
      if let dimensions { rows = try rows.prefix(columns: dimensions).normalized() }
      return rows
    } catch {
      throw Problem(500, "the encoder gave a vector without a direction", param: "inputs[\(error.row)]")
    }
  }
}
