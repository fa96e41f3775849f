import Contrastive
import Safetensors
import SimilarityCore

/// `POST /loss`: a contrastive loss of a batch of queries and keys, with gradients and diagnostics.
struct LossEndpoint: Sendable {
  let texts: TextEncoder
  let queues: QueueRegistry
  let idempotency: IdempotencyStore
  let limits: Limits
  let threads: Int

  func run(_ call: Call) throws {
    guard try idempotency.admit(call) else { return }
    let isBinary = call.head.fields["content-type"].flatMap(MediaType.init(contentType:)) == .safetensors
    let request =
      isBinary
      ? try LossRequest(try SafetensorsArchive(call.takeBody()), limits)
      : try LossRequest(try call.json(limits), limits)
    // One pass through the encoder for all texts, in the order in which `input` takes their rows.
    var sequences: [[Int32]] = []
    for (rows, field) in [
      (request.inputs.queries, "queries"), (request.inputs.keys, "keys"), (request.inputs.negatives, "negatives"),
    ] {
      guard let rows, !rows.texts.isEmpty else { continue }
      sequences += try texts.sequences(of: rows.texts, field: field, for: call)
    }
    guard !sequences.isEmpty else { return try score(request, nil, call) }
    texts.encode(sequences, for: call) { pooled in
      try score(request, texts.encoder.normalizes ? try pooled.normalized() : pooled, call)
    }
  }

  private func score(_ request: LossRequest, _ embedded: Matrix?, _ call: Call) throws {
    let given = input(request.inputs, embedded)
    guard let use = request.queue else { return try answer(request, given, call) }
    try queues.queue(use.name).enter { contents in
      var input = given
      var keys: Matrix?
      call.perform {
        guard contents.dimension == input.queries.columns else {
          throw Problem.invalid(
            "queue", "rows have \(contents.dimension) values where queries have \(input.queries.columns)")
        }
        input.queue = contents.rows
        try answer(request, input, call)
        if use.update { keys = input.keys }
      }
      return keys
    }
  }

  private func input(_ inputs: LossInputs, _ embedded: Matrix?) -> LossInput {
    var vectors = EmbeddedRows(embedded)
    let queries = inputs.queries.matrix(&vectors)
    let keys = inputs.keys.map { $0.matrix(&vectors) }
    let negatives = inputs.negatives.map { rows -> Negatives in
      let matrix = rows.matrix(&vectors)
      return rows.perQuery.map { .paired(matrix, perQuery: $0) } ?? .shared(matrix)
    }
    return LossInput(
      queries: queries, keys: keys, negatives: negatives, positives: inputs.positives, labels: inputs.labels)
  }

  private func answer(_ request: LossRequest, _ input: LossInput, _ call: Call) throws {
    let began = MonotonicClock.now
    var options = request.options
    options.threads = threads
    let result = try ContrastiveLoss.evaluate(input, options)
    call.add(.score, since: began)
    let answer = LossAnswer(
      result: result, options: options, input: input, returnsPerRow: request.returnsPerRow)
    switch call.answerType {
    case .json: call.answer(reserving: answer.estimatedBytes) { answer.write(to: &$0) }
    case .safetensors: call.answer(try answer.archive())
    }
  }
}
