import Contrastive
import JSON
import Safetensors
import SimilarityCore

/// A `/loss` request, read and checked as far as that goes without embedding its texts.
struct LossRequest: Sendable {
  /// A queue to read and, where `update`, to append the batch's keys to.
  struct QueueUse: Sendable {
    let name: String
    let update: Bool
  }

  /// Names of the tensors that a request may hold.
  static let tensors = ["queries", "keys", "negatives", "positives", "labels"]
  /// What `return` may list.
  static let returnable = ["loss", "per_row", "gradients", "diagnostics"]

  let queries: Rows
  let keys: Rows?
  /// Shared by all queries, or a group for each.
  let negatives: Rows?
  let positives: [Int]?
  let labels: [Int]?
  let options: LossOptions
  let queue: QueueUse?
  let returnsPerRow: Bool
  /// The name of the model that embeds texts, and what stands before them.
  let model: String?
  let prompt: PromptChoice

  init(_ body: RequestBody) throws {
    var body = body
    guard let queries = try body.rows("queries") else { throw Problem.invalid("queries", "is required") }
    self.queries = queries
    keys = try body.rows("keys")
    negatives = try body.rows("negatives", mayBeGrouped: true)
    positives = try body.integers("positives")
    labels = try body.integers("labels")

    var fields = body.fields
    let name = try fields.choice("objective", of: Objective.allCases.map(\.rawValue))
    guard let objective = Objective(rawValue: name) else { throw Problem.internalError }
    var options = LossOptions(objective)
    options.normalize = try fields.bool("normalize", default: true)
    try Self.read(&options, &fields)
    queue = try fields.take("queue").map { try Self.queue($0, objective) }
    let returned = try fields.names("return", of: Self.returnable) ?? ["loss"]
    options.wantsGradients = returned.contains("gradients")
    options.wantsDiagnostics = returned.contains("diagnostics")
    returnsPerRow = returned.contains("per_row")
    model = try fields.string("model")
    prompt = try PromptChoice(&fields)
    try fields.finish()
    if objective.requiredOptions.contains(.queue), queue == nil {
      throw Problem.invalid("queue", "\(name) needs a queue")
    }
    self.options = options
  }

  /// Reads the numbers. One that the objective does not use passes only with its documented default, which a client may
  /// send along.
  private static func read(_ options: inout LossOptions, _ fields: inout Fields) throws(Problem) {
    let used = options.objective.options
    func unused(_ name: String) -> Problem { .invalid(name, "\(options.objective.rawValue) does not use it") }
    if let value = try fields.number("temperature") {
      let temperature = Float(value)
      guard temperature > 0, temperature.isFinite, (1 / temperature).isFinite else {
        throw .invalid("temperature", "must be a positive number, not \(value)")
      }
      guard used.contains(.temperature) || temperature == 0.07 else { throw unused("temperature") }
      if used.contains(.temperature) { options.temperature = temperature }
    }
    if let value = try fields.number("bias") {
      guard used.contains(.bias) || value == -10 else { throw unused("bias") }
      guard Float(value).isFinite else { throw .invalid("bias", "must be finite in f32") }
      options.bias = Float(value)
    }
    if let value = fields.take("in_batch_negatives") {
      guard let flag = value.bool else { throw .invalid("in_batch_negatives", "must be true or false") }
      // moco is infonce without them: saying so is not a mistake.
      let standard = options.objective != .moco
      guard used.contains(.inBatchNegatives) || flag == standard else { throw unused("in_batch_negatives") }
      options.inBatchNegatives = flag
    }
  }

  /// `"name"`, or `{"name": …, "update": false}`.
  private static func queue(_ value: JSONValue, _ objective: Objective) throws(Problem) -> QueueUse {
    guard objective.options.contains(.queue) else {
      throw .invalid("queue", "\(objective.rawValue) does not use it")
    }
    if let name = value.string { return QueueUse(name: name, update: true) }
    var fields = try Fields(value, at: "queue")
    guard let name = try fields.string("name") else { throw .invalid("queue.name", "is required") }
    let update = try fields.bool("update", default: true)
    try fields.finish()
    return QueueUse(name: name, update: update)
  }

  /// What the core takes.
  ///
  /// - Parameter embedded: a row for each text: those of the queries, then the keys, then the negatives.
  func input(_ embedded: Matrix?) -> LossInput {
    var next = 0
    func vectors(_ rows: Rows) -> Matrix {
      switch rows.content {
      case .vectors(let matrix): return matrix
      case .texts(let texts):
        defer { next += texts.count }
        guard let rows = embedded?.rows(next..<next + texts.count) else {
          preconditionFailure("every text of the request has been embedded")
        }
        return rows
      }
    }
    let queries = vectors(queries)
    let keys = keys.map(vectors)
    let negatives = negatives.map { rows -> Negatives in
      let matrix = vectors(rows)
      return rows.perQuery.map { .paired(matrix, perQuery: $0) } ?? .shared(matrix)
    }
    return LossInput(queries: queries, keys: keys, negatives: negatives, positives: positives, labels: labels)
  }

  /// Multiplications of the products that the loss is made of: one pass for the values, two more for gradients.
  ///
  /// - Parameter held: rows in the queue.
  func products(_ input: LossInput, held: Int) -> Double {
    let rows = Double(input.queries.rows)
    var candidates = Double((input.keys?.rows ?? 0) + held)
    switch input.negatives {
    case .shared(let matrix): candidates += Double(matrix.rows)
    case .paired(_, let perQuery): candidates += Double(perQuery)
    case nil: break
    }
    return rows * max(rows, candidates) * Double(input.queries.columns) * (options.wantsGradients ? 3 : 1)
  }

  /// - Throws: ``Problem`` naming the field and row; what the core throws otherwise.
  func evaluate(_ input: LossInput, threads: Int, withGradients: Bool = false) throws -> LossAnswer {
    var options = options
    options.threads = threads
    if withGradients { options.wantsGradients = true }
    do {
      let result = try ContrastiveLoss.evaluate(input, options)
      return LossAnswer(result: result, options: options, input: input, returnsPerRow: returnsPerRow)
    } catch let error as ContrastiveError {
      // The core counts negatives one after another; the client sent them in groups.
      guard error.field == "negatives", let row = error.row, let group = negatives?.perQuery, group > 0 else {
        throw error
      }
      throw Problem.invalid("negatives[\(row / group)][\(row % group)]", error.reason)
    }
  }
}

extension Matrix {
  /// A copy of those rows, which must exist.
  fileprivate func rows(_ range: Range<Int>) -> Matrix? {
    guard range.upperBound <= rows else { return nil }
    return Matrix(
      rows: range.count, columns: columns,
      values: Array(values[range.lowerBound * columns..<range.upperBound * columns]))
  }
}
