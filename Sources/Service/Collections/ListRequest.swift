import HTTP1
import JSON
import VectorStore

/// Which points a list has, in the order of ids' bytes.
struct ListRequest: Sendable {
  private static let mostListed = 10_000
  private static let defaultListed = 100

  /// Only points that it matches; nil for all.
  var filter: Filter?
  /// Only points whose ids come after this one.
  var after: String?
  var limit = defaultListed
  var content = PointContent.all

  /// From `?after=ID&limit=N`.
  init(_ head: RequestHead) throws(Problem) {
    for (name, value) in head.queryItems {
      switch name {
      case "after":
        try PointsRequest.check(after: value)
        after = value
      case "limit":
        guard let number = Int(decimal: value), (1...Self.mostListed).contains(number) else {
          throw Problem.invalid("limit", "must be a whole number from 1 to \(Self.mostListed)")
        }
        limit = number
      default: throw Problem.invalid(name, "unknown query parameter '\(name)'")
      }
    }
  }

  /// From the body of `POST …/points/list`, whose other fields the caller takes.
  init(_ fields: inout Fields) throws(Problem) {
    filter = try fields.filter("filter")
    after = try fields.string("after")
    if let after { try PointsRequest.check(after: after) }
    limit = try fields.integer("limit", in: 1...Self.mostListed) ?? Self.defaultListed
    content = try PointContent(&fields)
  }
}

extension PointChoice {
  /// From the body of `POST …/points/delete`, whose other fields the caller takes: exactly one of `ids` and `filter`.
  init(_ fields: inout Fields, _ limits: Limits) throws(Problem) {
    let filter = try fields.filter("filter")
    let ids = try fields.take("ids").map { value throws(Problem) in try limits.texts(value, field: "ids") }
    try fields.finish()
    switch (ids, filter) {
    case (let ids?, nil): self = .ids(ids)
    case (nil, let filter?): self = .matching(filter)
    default:
      throw Problem.invalid(
        ids == nil ? "ids" : "filter", "exactly one of ids and filter is needed, not \(ids == nil ? "none" : "both")")
    }
  }
}
