import Contrastive
import Encoder
import HTTP1
import Platform
import SimilarityCore
import VectorStore

/// `POST /loss`: a contrastive loss of a batch of queries and keys, with gradients and diagnostics.
struct LossEndpoint: Sendable {
  let models: TextModels
  let queues: QueueRegistry
  let shared: SharedQueues?
  let lanes: WorkLanes
  let limits: Limits
  let threads: Int

  func run(_ call: Call) throws {
    let request = try LossRequest(try RequestBody(call, tensors: LossRequest.tensors, limits))
    if let queue = request.queue, queue.update { try call.require(.write) }
    guard let use = request.queue, let shared else { return try embed(request, call) }
    try shared.whenKnown(use.name, call) { try embed(request, call) }
  }

  private func embed(_ request: LossRequest, _ call: Call) throws {
    // Found before its texts are embedded: an unknown queue should cost nothing.
    let queue = try request.queue.map { try queues.queue($0.name) }
    // One pass through the encoder for all texts, in the order in which `input` takes their rows.
    let texts = try models.named(request.model)
    let prompt = try request.prompt.text(texts.encoder, standing: texts.prompts.standard)
    var sequences: [TokenSequence] = []
    var fields: [(name: String, first: Int)] = []
    for (rows, field) in [
      (request.queries, "queries"), (request.keys, "keys"), (request.negatives, "negatives"),
    ] {
      guard let rows, !rows.texts.isEmpty else { continue }
      fields.append((field, sequences.count))
      sequences += try texts.sequences(of: rows.texts, prompt: prompt, entryNames(of: field), for: call)
    }
    guard !sequences.isEmpty else { return try score(request, queue, nil, call) }
    let names: TextNames = { [fields] index in
      let field = fields.last { $0.first <= index } ?? fields[0]
      return "\(field.name)[\(index - field.first)]"
    }
    try texts.encode(sequences, names, for: call) { try score(request, queue, $0, call) }
  }

  private func score(_ request: LossRequest, _ queue: ServedQueue?, _ embedded: Matrix?, _ call: Call) throws {
    let given = request.input(embedded)
    let products = request.products(given, held: queue?.counts.held ?? 0)
    guard let queue, let use = request.queue else {
      guard products > WorkLanes.shortProducts else { return call.answer(try response(request, given, call)) }
      return try lanes.submitWide(.products, cost: products, for: call) {
        call.answer(try response(request, given, call))
      }
    }
    guard products > WorkLanes.shortProducts else { return enter(queue, use, request, given, call) }
    lanes.long.submit { enter(queue, use, request, given, call) }
  }

  /// Scores the batch with the queue's rows when it is its turn.
  private func enter(
    _ queue: ServedQueue, _ use: LossRequest.QueueUse, _ request: LossRequest, _ given: LossInput, _ call: Call
  ) {
    queue.enter { turn in
      call.perform {
        let width = given.queries.columns
        guard turn.dimension == width else {
          throw Problem.invalid("queue", "rows have \(turn.dimension) values where queries have \(width)")
        }
        var input = given
        if let token = turn.token { call.note(token) }
        input.queue = turn.rows
        let response = try response(request, input, call)
        if use.update, let keys = input.keys, let shared, let id = turn.shared {
          // The turn ends before the database has the keys: it waits for nothing that others wait for.
          shared.append(keys, to: turn, id, key: call.changeKey, answer: response) { result in
            switch result {
            case .failure(let problem): call.fail(problem)
            case .success(let (version, answer)):
              call.note(VersionToken(name: SharedQueues.prefix + turn.name, epoch: id, version: version))
              call.answer(answer)
            }
          }
          return
        }
        // Before the answer leaves: whoever has it finds the keys in the queue.
        if use.update, let keys = input.keys { turn.append(keys) }
        call.answer(response)
      }
    }
  }

  private func response(_ request: LossRequest, _ input: LossInput, _ call: Call) throws -> Response {
    try call.beginWork()
    let began = SystemClock.monotonic
    let answer = try request.evaluate(input, threads: threads)
    call.add(.score, since: began)
    return try answer.response(call.answerType)
  }
}
