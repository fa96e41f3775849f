import JSON
import Platform
import Tokenization

/// `POST /tokenize`: every token of each text with its place, nothing truncated. Unknown fields are ignored.
struct TokenizeEndpoint: Sendable {
  let models: TextModels
  let limits: Limits

  func run(_ call: Call) throws {
    var fields = try Fields(try call.json(limits))
    let inputs = try limits.oneOrMoreTexts(try fields.required("inputs"), field: "inputs")
    let wantsSpecial = try fields.bool("add_special_tokens", default: true)
    let texts = try models.chosen(&fields)
    // The tokens are those that the model would be given.
    let special = wantsSpecial && texts.encoder.hasTransformer
    // Without the prompt that stands for all requests: the places of tokens are those in the text as it was sent.
    let prompt = try PromptChoice(&fields).text(texts.encoder, standing: "")

    let began = SystemClock.monotonic
    call.answer(reserving: 1024) { writer in
      writer.beginArray()
      for text in inputs {
        writer.beginArray()
        let bytes = Array((prompt + text).utf8)
        for token in texts.encoder.tokenizer.tokens(prompt + text, addSpecialTokens: special) {
          write(token, of: bytes, to: &writer)
        }
        writer.endArray()
      }
      writer.endArray()
      call.add(.tokenize, since: began)
    }
  }

  /// `text` is the token's part of the input, as it stands there; of a token that is not in it, its name.
  private func write(_ token: Token, of bytes: [UInt8], to writer: inout JSONWriter) {
    writer.beginObject()
    writer.member("id", Int(token.id))
    writer.key("text")
    if let start = token.start, let stop = token.stop, start <= stop, bytes.indices.contains(start),
      stop <= bytes.count
    {
      writer.string(String(decoding: bytes[start..<stop], as: UTF8.self))
    } else {
      writer.string(token.text)
    }
    writer.member("special", token.special)
    for (key, offset) in [("start", token.start), ("stop", token.stop)] {
      writer.key(key)
      if let offset { writer.integer(offset) } else { writer.null() }
    }
    writer.endObject()
  }
}
