import Encoder
import JSON
import SimilarityCore

/// `POST /predict`: the labels of texts, or of pairs of texts, in text-embeddings-inference's shape. Unknown fields are
/// ignored.
struct PredictEndpoint: Sendable {
  let scorer: PairScorer?
  let limits: Limits

  func run(_ call: Call) throws {
    var fields = try Fields(try call.json(limits))
    let value = try fields.required("inputs")
    let truncate = try fields.bool("truncate", default: true)
    let isRaw = try fields.bool("raw_scores", default: false)
    let scorer = try RerankEndpoint.required(scorer)
    // A list of lists is a batch; a string, or a list of one or two strings, is one input.
    let isBatch = value.elements?.first?.kind == .array
    let inputs = isBatch ? value.elements ?? [] : [value]
    try limits.check(count: inputs.count, field: "inputs")
    let names: TextNames = { isBatch ? "inputs[\($0)]" : "inputs" }
    let read = try inputs.enumerated().map { try texts($1, names($0)) }
    try scorer.admit(bytes: read.map { $0.reduce(0) { $0 + $1.utf8.count } }, for: call)
    let sequences = try scorer.sequences(of: read, names, for: call) { texts in
      texts.count == 1
        ? scorer.encoder.sequence(of: texts[0], truncate: truncate)
        : scorer.encoder.sequence(of: scorer.encoder.ids(of: texts[0]), texts[1], truncate: truncate)
    }
    try scorer.score(sequences, for: call) { rows in
      call.answer(reserving: 64 * rows.values.count + 64) { writer in
        if isBatch {
          writer.array { writer in
            for row in 0..<rows.rows { write(Array(rows.row(row)), scorer.encoder.labels, isRaw, to: &writer) }
          }
        } else {
          write(Array(rows.row(0)), scorer.encoder.labels, isRaw, to: &writer)
        }
      }
    }
  }

  /// The one or two texts of an input.
  private func texts(_ input: JSONValue, _ field: String) throws(Problem) -> [String] {
    let texts = input.kind == .string ? [try limits.text(input, field: field)] : try limits.texts(input, field: field)
    guard (1...2).contains(texts.count) else { throw .invalid(field, "must be a text, or one or two of them") }
    return texts
  }

  /// The labels of one input, the most likely first.
  private func write(_ values: [Float], _ labels: [String], _ isRaw: Bool, to writer: inout JSONWriter) {
    let scores = isRaw ? values : Self.probabilities(values)
    writer.array { writer in
      for index in scores.indices.sorted(by: { (scores[$0], $1) > (scores[$1], $0) }) {
        writer.object { writer in
          writer.key("score")
          writer.number(scores[index])
          writer.member("label", labels[index])
        }
      }
    }
  }

  /// The softmax of the values; of a single one, its sigmoid.
  private static func probabilities(_ values: [Float]) -> [Float] {
    guard values.count > 1, let largest = values.max() else { return values.map(PairScorer.sigmoid) }
    let exponentials = values.map { PairScorer.exponential($0 - largest) }
    let sum = exponentials.reduce(0, +)
    return exponentials.map { Float($0 / sum) }
  }
}
