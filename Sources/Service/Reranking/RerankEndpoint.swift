import JSON
import SimilarityCore

/// `POST /rerank`, `/v1/rerank` and `/v2/rerank`: documents in the order in which a cross-encoder thinks that they go with
/// a query. Unknown fields are ignored.
struct RerankEndpoint: Sendable {
  /// Whose answers are given.
  enum Form: Sendable {
    case textEmbeddingsInference
    case jina
    case cohere
  }

  let scorer: PairScorer?
  let limits: Limits

  func run(_ form: Form, _ call: Call) throws {
    let request = try RerankRequest(try call.json(limits), limits, returnsText: form == .jina)
    let scorer = try Self.requireReranker(scorer)
    try scorer.admit(bytes: request.documents.map { request.query.utf8.count + $0.utf8.count }, for: call)
    let sequences = try scorer.sequences(
      of: request.query, with: request.documents, truncate: request.truncate, entryNames(of: request.field),
      for: call)
    let tokens = sequences.reduce(0) { $0 + $1.count }
    try scorer.score(sequences, for: call) { rows in
      let ranked = Self.ranked(rows.values, request)
      call.answer(reserving: 64 * ranked.count + 256) { writer in
        switch form {
        case .textEmbeddingsInference: writer.array { write(ranked, request, to: &$0) }
        case .jina: jina(ranked, request, tokens, scorer.encoder.name, to: &writer)
        case .cohere: cohere(ranked, request, call.requestID, to: &writer)
        }
      }
    }
  }

  /// - Throws: 422 where no reranker is loaded.
  static func required(_ scorer: PairScorer?) throws(Problem) -> PairScorer {
    guard let scorer else {
      throw Problem(422, "no reranker is loaded; start the service with --reranker DIR to have one")
    }
    return scorer
  }

  /// - Throws: 422 where none is loaded whose only value says how well two texts go together.
  @discardableResult
  static func requireReranker(_ scorer: PairScorer?) throws(Problem) -> PairScorer {
    let scorer = try required(scorer)
    guard scorer.encoder.labels.count == 1 else {
      throw Problem(
        422, "the model of --reranker gives \(scorer.encoder.labels.count) values instead of one; /predict serves it")
    }
    return scorer
  }

  /// The best first; those of the same score in the order of the request.
  private static func ranked(_ values: [Float], _ request: RerankRequest) -> [(index: Int, score: Float)] {
    let order = values.indices.sorted { (values[$0], $1) > (values[$1], $0) }
    return order.prefix(request.top ?? order.count).map { index in
      (index, request.isRaw ? values[index] : PairScorer.sigmoid(values[index]))
    }
  }

  private func write(_ ranked: [(index: Int, score: Float)], _ request: RerankRequest, to writer: inout JSONWriter) {
    for (index, score) in ranked {
      writer.object { writer in
        writer.member("index", index)
        writer.key("score")
        writer.number(score)
        if request.returnsText { writer.member("text", request.documents[index]) }
      }
    }
  }

  private func jina(
    _ ranked: [(index: Int, score: Float)], _ request: RerankRequest, _ tokens: Int, _ name: String,
    to writer: inout JSONWriter
  ) {
    writer.object { writer in
      writer.member("model", request.model ?? name)
      writer.member("object", "list")
      writer.key("usage")
      writer.object { writer in
        writer.member("total_tokens", tokens)
        writer.member("prompt_tokens", tokens)
      }
      results(ranked, request, to: &writer)
    }
  }

  private func cohere(
    _ ranked: [(index: Int, score: Float)], _ request: RerankRequest, _ id: String, to writer: inout JSONWriter
  ) {
    writer.object { writer in
      writer.member("id", id)
      results(ranked, request, to: &writer)
      writer.key("meta")
      writer.object { writer in
        writer.key("api_version")
        writer.object { $0.member("version", "2") }
        writer.key("billed_units")
        writer.object { $0.member("search_units", 1) }
      }
    }
  }

  private func results(
    _ ranked: [(index: Int, score: Float)], _ request: RerankRequest, to writer: inout JSONWriter
  ) {
    writer.key("results")
    writer.array { writer in
      for (index, score) in ranked {
        writer.object { writer in
          writer.member("index", index)
          writer.key("relevance_score")
          writer.number(score)
          guard request.returnsText else { return }
          writer.key("document")
          writer.object { $0.member("text", request.documents[index]) }
        }
      }
    }
  }
}
