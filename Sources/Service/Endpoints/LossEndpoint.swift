import Contrastive
import JSON
import SimilarityCore

/// `POST /loss`: a contrastive loss of a batch of queries and keys.
struct LossEndpoint: Sendable {
  let texts: TextEncoder
  let limits: Limits

  func run(_ call: Call) throws {
    let request = try LossRequest(try call.json(limits), limits)
    // One pass through the encoder for all texts, in the order in which `score` takes their rows.
    var sequences: [[Int32]] = []
    for (rows, field) in [(request.queries, "queries"), (request.keys, "keys"), (request.negatives, "negatives")] {
      guard let rows else { continue }
      sequences += try texts.sequences(of: rows.texts, field: field, for: call)
    }
    guard !sequences.isEmpty else { return try score(request, nil, call) }
    texts.encode(sequences, for: call) { pooled in
      try score(request, texts.encoder.normalizes ? try pooled.normalized() : pooled, call)
    }
  }

  private func score(_ request: LossRequest, _ embedded: Matrix?, _ call: Call) throws {
    let began = MonotonicClock.now
    var vectors = EmbeddedRows(embedded)
    let batch = LossInput(
      queries: request.queries.matrix(&vectors), keys: request.keys.matrix(&vectors),
      negatives: request.negatives.map { negatives($0, &vectors) },
      positives: request.positives)
    let value = try ContrastiveLoss.evaluate(batch, request.objective)
    call.add(.score, since: began)
    call.answer(reserving: 256 + (request.returnsPerRow ? value.perRow.count * 12 : 0)) { writer in
      writer.beginObject()
      writer.member("loss", value.loss)
      writer.member("objective", "infonce")
      writer.member("rows", value.perRow.count)
      writer.member("candidates", value.candidates)
      writer.member("dim", batch.queries.columns)
      writer.member("temperature", request.objective.temperature)
      if request.returnsPerRow {
        writer.key("per_row")
        value.perRow.withUnsafeBufferPointer { writer.floats($0) }
      }
      writer.endObject()
    }
  }

  private func negatives(_ rows: LossRows, _ vectors: inout EmbeddedRows) -> Negatives {
    let matrix = rows.matrix(&vectors)
    guard let perQuery = rows.perQuery else { return .shared(matrix) }
    return .paired(matrix, perQuery: perQuery)
  }
}
