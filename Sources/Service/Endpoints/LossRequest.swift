import Contrastive
import JSON
import SimilarityCore

/// A `/loss` request, read and checked as far as that goes without embedding its texts.
struct LossRequest: Sendable {
  let queries: LossRows
  let keys: LossRows
  let negatives: LossRows?
  let positives: [Int]?
  let objective: LossOptions
  let returnsPerRow: Bool

  private static let objectives = [
    "infonce", "symmetric", "nt_xent", "dcl", "supcon", "sigmoid", "simsiam", "byol", "moco",
  ]

  init(_ root: JSONValue, _ limits: Limits) throws(Problem) {
    var fields = try Fields(root)
    let name = try fields.choice("objective", of: Self.objectives)
    guard name == "infonce" else {
      throw .notServed("objective", "'\(name)' is not served by this version; infonce is")
    }
    returnsPerRow = try Self.readReturn(&fields)
    queries = try LossRows(try fields.required("queries"), field: "queries", limits)
    keys = try LossRows(try fields.required("keys"), field: "keys", limits)
    negatives = try fields.take("negatives").map { value throws(Problem) in
      try LossRows(negatives: value, limits)
    }
    positives = try fields.take("positives").map { value throws(Problem) in try Self.indices(value) }
    let normalize = try fields.bool("normalize", default: true)
    let inBatch = try fields.bool("in_batch_negatives", default: true)
    let temperature = try Self.temperature(&fields)
    try fields.refuse("labels", "infonce does not use labels")
    // The documented default may be sent along.
    if let bias = try fields.number("bias"), bias != -10 { throw .invalid("bias", "infonce does not use a bias") }
    try fields.refuse("queue", "queues are not served by this version")
    try fields.finish()
    var objective = LossOptions(.infonce, temperature: temperature)
    objective.normalize = normalize
    objective.inBatchNegatives = inBatch
    self.objective = objective
  }

  private static func temperature(_ fields: inout Fields) throws(Problem) -> Float {
    let value = try fields.number("temperature") ?? 0.07
    let temperature = Float(value)
    guard temperature > 0, temperature.isFinite, (1 / temperature).isFinite else {
      throw .invalid("temperature", "must be a positive number, not \(value)")
    }
    return temperature
  }

  /// - Returns: whether `per_row` is asked for.
  private static func readReturn(_ fields: inout Fields) throws(Problem) -> Bool {
    guard let value = fields.take("return") else { return false }
    let names: [String]
    do {
      names = try value.strings()
    } catch {
      throw .invalid("return", "must be a list of strings")
    }
    for name in names {
      switch name {
      case "loss", "per_row": continue
      case "gradients", "diagnostics": throw .notServed("return", "'\(name)' is not served by this version")
      default: throw .invalid("return", "'\(name)' is unknown; known: loss, per_row, gradients, diagnostics")
      }
    }
    return names.contains("per_row")
  }

  private static func indices(_ value: JSONValue) throws(Problem) -> [Int] {
    guard let entries = value.elements else { throw .invalid("positives", "must be a list of whole numbers") }
    var indices: [Int] = []
    for (row, entry) in entries.enumerated() {
      guard let index = entry.integer else { throw .invalid("positives[\(row)]", "must be a whole number") }
      indices.append(index)
    }
    return indices
  }
}
