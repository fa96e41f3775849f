import Encoder
import JSON
import SimilarityCore

/// Cohere's `POST /v2/embed`, and `POST /v1/embed`, which came before it and which its Python client still calls by
/// default.
struct CohereEndpoint: Sendable {
  let models: TextModels
  let limits: Limits

  /// Vectors by type, as floats unless the request says otherwise.
  func embed(_ call: Call) throws {
    try run(call, version: "2") { $0 ?? [.float] }
  }

  /// As ``embed(_:)``, but where the request names no types the vectors stand alone.
  func embedAsBefore(_ call: Call) throws {
    try run(call, version: "1") { $0 }
  }

  /// - Parameter types: those of the answer, by those of the request; nil for floats that stand alone.
  private func run(
    _ call: Call, version: String,
    types: @escaping @Sendable (Set<CohereRequest.EmbeddingType>?) -> Set<CohereRequest.EmbeddingType>?
  ) throws {
    let request = try CohereRequest(try call.json(limits), models, limits)
    let texts = request.encoder
    let names = entryNames(of: request.field)
    let sequences = try texts.sequences(of: request.texts, request.options, names, for: call)
    let tokens = sequences.reduce(0) { $0 + $1.count }
    try texts.encode(sequences, names, request.shape, for: call) { rows in
      call.answer(reserving: rows.values.count * 13 + 512) { writer in
        writer.object { writer in
          writer.member("id", call.requestID)
          writer.key("embeddings")
          if let types = types(request.types) {
            writer.object { writer in
              for type in CohereRequest.EmbeddingType.allCases where types.contains(type) {
                writer.key(type.rawValue)
                writer.array { Self.write(rows, as: type, to: &$0) }
              }
            }
            writer.member("response_type", "embeddings_by_type")
          } else {
            writer.array { Self.write(rows, as: .float, to: &$0) }
            writer.member("response_type", "embeddings_floats")
          }
          writer.key("texts")
          writer.array { writer in
            for text in request.texts { writer.string(text) }
          }
          writer.key("meta")
          writer.object { writer in
            writer.key("api_version")
            writer.object { $0.member("version", version) }
            writer.key("billed_units")
            writer.object { $0.member("input_tokens", tokens) }
          }
        }
      }
    }
  }

  private static func write(_ rows: Matrix, as type: CohereRequest.EmbeddingType, to writer: inout JSONWriter) {
    for index in 0..<rows.rows {
      switch type {
      case .float: writer.row(index, of: rows, .float)
      case .base64: writer.row(index, of: rows, .base64)
      case .ubinary: writeSigns(of: rows, index, less: 0, to: &writer)
      case .binary: writeSigns(of: rows, index, less: 128, to: &writer)
      }
    }
  }

  /// One bit for each value, set where it is above 0; eight in a byte, the first in the highest bit, and zeros behind
  /// the last.
  ///
  /// - Parameter less: taken from each byte: 128 makes it a signed one.
  private static func writeSigns(of rows: Matrix, _ index: Int, less: Int, to writer: inout JSONWriter) {
    writer.beginArray()
    rows.withRow(index) { values in
      for start in stride(from: 0, to: values.count, by: 8) {
        var byte = 0
        for bit in 0..<8 where start + bit < values.count && values[start + bit] > 0 { byte |= 0x80 >> bit }
        writer.integer(byte - less)
      }
    }
    writer.endArray()
  }
}
