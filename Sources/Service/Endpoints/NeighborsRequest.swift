import JSON
import SimilarityCore

/// The body of `POST /neighbors`.
struct NeighborsRequest: Sendable {
  enum Query: Sendable {
    case texts([String])
    case vectors(Matrix)
    /// Stored points, each left out of its own answer.
    case ids([String])
  }

  let collection: String
  let query: Query
  let k: Int
  /// Only neighbours with at least this score.
  let scoreThreshold: Double?
  let includesMetadata: Bool
  let includesText: Bool
  let includesVector: Bool

  init(_ root: JSONValue, _ limits: Limits) throws(Problem) {
    var fields = try Fields(root)
    collection = try fields.string("collection") ?? "default"
    query = try Self.query(&fields, limits)
    k = try fields.integer("k", in: 1...limits.maxNeighbors) ?? 10
    // Every search of this version is exact.
    _ = try fields.bool("exact", default: false)
    try fields.refuse("ef", "graph search is not served by this version; every search is exact")
    try fields.refuse("filter", "filters are not served by this version")
    scoreThreshold = try fields.number("score_threshold")
    let include = try Self.include(&fields)
    includesMetadata = include.contains("metadata")
    includesText = include.contains("text")
    includesVector = include.contains("vector")
    try fields.finish()
  }

  private static func query(_ fields: inout Fields, _ limits: Limits) throws(Problem) -> Query {
    let names = ["inputs", "vectors", "ids"]
    var given: [(name: String, value: JSONValue)] = []
    for name in names {
      if let value = fields.take(name) { given.append((name, value)) }
    }
    guard let (name, value) = given.first, given.count == 1 else {
      let found = given.isEmpty ? "none" : given.map(\.name).joined(separator: " and ")
      throw .invalid(given.last?.name ?? "inputs", "exactly one of inputs, vectors and ids is needed, not \(found)")
    }
    switch name {
    case "inputs": return .texts(try limits.oneOrMoreTexts(value, field: name))
    case "vectors": return .vectors(try limits.matrix(value, field: name))
    default: return .ids(try limits.texts(value, field: name))
    }
  }

  private static func include(_ fields: inout Fields) throws(Problem) -> Set<String> {
    guard let value = fields.take("include") else { return ["metadata"] }
    let names: [String]
    do {
      names = try value.strings()
    } catch {
      throw .invalid("include", "must be a list of strings")
    }
    for name in names where !["metadata", "text", "vector"].contains(name) {
      throw .invalid("include", "'\(name)' is unknown; known: metadata, text, vector")
    }
    return Set(names)
  }
}
