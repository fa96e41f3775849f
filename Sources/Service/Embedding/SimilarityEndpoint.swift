import Encoder
import JSON
import Platform
import SimilarityCore

/// `POST /similarity`: cosine similarity of one text with others. Unknown fields are ignored.
struct SimilarityEndpoint: Sendable {
  let models: TextModels
  let limits: Limits

  func run(_ call: Call) throws {
    try run(call, try Fields(try call.json(limits)))
  }

  func run(_ call: Call, _ body: Fields) throws {
    var fields = body
    var inputs = try Fields(try fields.required("inputs"), at: "inputs")
    let source = try limits.text(try inputs.required("source_sentence"), field: "inputs.source_sentence")
    let sentences = try limits.texts(try inputs.required("sentences"), field: "inputs.sentences")
    let texts = try models.chosen(&fields)
    var options = TextOptions()
    if let parameters = fields.take("parameters") {
      var nested = try Fields(parameters, at: "parameters")
      options = try EmbeddingOptions.text(&nested, try PromptChoice(&nested), texts)
    } else {
      options = try EmbeddingOptions.text(&fields, try PromptChoice(&fields), texts)
    }

    let sequences =
      try texts.sequences(of: [source], options, { _ in "inputs.source_sentence" }, for: call)
      + texts.sequences(of: sentences, options, entryNames(of: "inputs.sentences"), for: call)
    let names: TextNames = { $0 == 0 ? "inputs.source_sentence" : "inputs.sentences[\($0 - 1)]" }
    try texts.encode(sequences, names, VectorShape(normalize: false), for: call) { rows in
      let began = SystemClock.monotonic
      let scores = Self.cosines(of: rows)
      call.add(.score, since: began)
      call.answer { writer in
        writer.beginArray()
        for score in scores { writer.number(Float(score)) }
        writer.endArray()
      }
    }
  }

  /// The cosine of row 0 with each of the others, in f64.
  private static func cosines(of rows: Matrix) -> [Double] {
    let kernels = Kernels.active
    return rows.withRow(0) { source in
      let square = kernels.dot(source, source)
      return (1..<rows.rows).map { index in
        rows.withRow(index) { kernels.cosine(source, $0, squares: (square, kernels.dot($0, $0))) }
      }
    }
  }
}

/// `POST /`: what Hugging Face's `InferenceClient` sends, told apart by the type of `inputs`.
struct RootEndpoint: Sendable {
  let embed: EmbedEndpoint
  let similarity: SimilarityEndpoint

  func run(_ call: Call) throws {
    let root = try call.json(embed.limits)
    let fields = try Fields(root)
    if root["inputs"]?.kind == .object {
      try similarity.run(call, fields)
    } else {
      try embed.run(call, fields)
    }
  }
}
