import HTTP1
import JSON
import Safetensors

/// `POST /embed`: texts to vectors, in text-embeddings-inference's shape.
struct EmbedEndpoint: Sendable {
  let texts: TextEncoder
  let limits: Limits

  func run(_ call: Call) throws {
    try run(call, try Fields(try call.json(limits)))
  }

  func run(_ call: Call, _ body: Fields) throws {
    var fields = body
    let inputs = try limits.oneOrMoreTexts(try fields.required("inputs"), field: "inputs")
    var options = EmbeddingOptions()
    options.normalize = try fields.bool("normalize", default: true)
    options.text = try EmbeddingOptions.text(&fields, texts.encoder)
    try options.readShape(&fields, texts.encoder)
    try fields.finish()

    let sequences = try texts.sequences(of: inputs, options.text, field: "inputs", for: call)
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
