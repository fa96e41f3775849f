import JSON
import SimilarityCore
import VectorIndex
import VectorStore

/// The body of `POST /neighbors`, in either format.
struct NeighborsRequest: Sendable {
  enum Query: Sendable {
    case texts([String])
    case vectors(Matrix)
    /// Stored points, each left out of its own answer.
    case ids([String])
  }

  /// The largest `ef`.
  static let longestPool = 10_000

  let collection: String
  let query: Query
  let k: Int
  /// How to search.
  let mode: SearchOptions.Mode
  /// Recall@10 that the pool is chosen for; nil for the collection's own.
  let recallTarget: Double?
  /// Only points that it matches.
  let filter: Filter?
  /// Only neighbours with at least this score.
  let scoreThreshold: Double?
  let content: PointContent
  let consistency: ReadConsistency
  /// The name of the model that embeds texts, and what stands before them.
  let model: String?
  let prompt: PromptChoice
  /// How many of the nearest points a cross-encoder sorts anew; nil for none.
  let reranked: Int?

  /// The points that are searched for, of which the best are answered.
  var searched: Int { max(k, reranked ?? 0) }

  /// What is searched for.
  ///
  /// - Parameter excluding: for each query the point that is left out; empty for none.
  func search(excluding: [String]) -> NeighborSearch {
    var search = NeighborSearch(k: searched)
    search.mode = mode
    search.recallTarget = recallTarget
    search.filter = filter
    search.excluding = excluding
    return search
  }

  init(_ body: RequestBody, _ limits: Limits) throws {
    let vectors = try body.tensor("vectors")
    var fields = body.fields
    collection = try fields.string("collection") ?? "default"
    query = try Self.query(&fields, vectors, limits)
    k = try fields.integer("k", in: 1...limits.maxNeighbors) ?? 10
    (mode, recallTarget) = try Self.mode(&fields)
    filter = try fields.filter("filter")
    scoreThreshold = try fields.number("score_threshold")
    content = try PointContent(&fields)
    consistency = try fields.consistency()
    model = try fields.string("model")
    prompt = try PromptChoice(&fields)
    reranked = try fields.take("rerank").map { value throws(Problem) in try Self.reranked(value, limits) }
    try fields.finish()
    if case .texts(let texts) = query {
      // As many pairs as a request may have texts.
      guard texts.count * (reranked ?? 0) <= limits.maxInputs else {
        throw Problem(
          413, "\(texts.count) inputs with \(reranked ?? 0) points each are more than the limit of \(limits.maxInputs)",
          param: "rerank.top")
      }
      return
    }
    if reranked != nil { throw Problem.invalid("rerank", "needs inputs, the texts that points are compared with") }
  }

  /// `{"top": N}`.
  private static func reranked(_ value: JSONValue, _ limits: Limits) throws(Problem) -> Int {
    var fields = try Fields(value, at: "rerank")
    let top = try fields.integer("top", in: 1...min(1000, limits.maxNeighbors)) ?? 100
    try fields.finish()
    return top
  }

  /// `exact`, `ef` or a `recall_target`; otherwise what reaches the collection's own.
  private static func mode(_ fields: inout Fields) throws(Problem) -> (SearchOptions.Mode, Double?) {
    let exact = try fields.bool("exact", default: false)
    let ef = try fields.integer("ef", in: 1...longestPool)
    let target = try fields.recallTarget()?.value
    if exact, ef != nil { throw .invalid("ef", "an exact search does not use it") }
    if exact, target != nil { throw .invalid("recall_target", "an exact search does not use it") }
    if let ef { return (.graph(ef: ef), target) }
    return (exact ? .exact : .automatic, target)
  }

  private static func query(_ fields: inout Fields, _ vectors: Matrix?, _ limits: Limits) throws(Problem) -> Query {
    let names = ["inputs", "vectors", "ids"]
    var given: [(name: String, value: JSONValue)] = []
    for name in names {
      if let value = fields.take(name) { given.append((name, value)) }
    }
    if let vectors, given.isEmpty { return .vectors(vectors) }
    guard let (name, value) = given.first, given.count == 1, vectors == nil else {
      let found = given.isEmpty ? "none" : given.map(\.name).joined(separator: " and ")
      throw .invalid(given.last?.name ?? "inputs", "exactly one of inputs, vectors and ids is needed, not \(found)")
    }
    switch name {
    case "inputs": return .texts(try limits.oneOrMoreTexts(value, field: name))
    case "vectors": return .vectors(try limits.matrix(value, field: name))
    default: return .ids(try limits.texts(value, field: name))
    }
  }
}
