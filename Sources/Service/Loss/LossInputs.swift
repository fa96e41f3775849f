import Contrastive
import JSON
import Safetensors
import SimilarityCore

/// The rows of a `/loss` request, from either format; texts are not embedded yet.
struct LossInputs: Sendable {
  var queries: LossRows
  var keys: LossRows?
  var negatives: LossRows?
  var positives: [Int]?
  var labels: [Int]?

  /// Takes the rows out of a JSON body.
  init(_ fields: inout Fields, _ limits: Limits) throws(Problem) {
    queries = try LossRows(try fields.required("queries"), field: "queries", limits)
    keys = try fields.take("keys").map { value throws(Problem) in try LossRows(value, field: "keys", limits) }
    negatives = try fields.take("negatives").map { value throws(Problem) in try LossRows(negatives: value, limits) }
    positives = try fields.take("positives").map { value throws(Problem) in try Self.integers(value, "positives") }
    labels = try fields.take("labels").map { value throws(Problem) in try Self.integers(value, "labels") }
  }

  /// Names of the tensors that a request may hold.
  static let tensors = ["queries", "keys", "negatives", "positives", "labels"]

  /// Takes the tensors out of a safetensors body.
  init(_ archive: SafetensorsArchive, _ limits: Limits) throws {
    if let unknown = archive.names.first(where: { !Self.tensors.contains($0) }) {
      throw Problem.invalid(unknown, "unknown tensor '\(unknown)'; known: \(Self.tensors.joined(separator: ", "))")
    }
    try self.init(limits) { archive.tensor($0) }
  }

  /// Takes the tensors that `tensor` finds by their names.
  init(_ limits: Limits, _ tensor: (String) -> TensorView?) throws {
    guard let queries = try LossRows(tensor("queries"), "queries", limits) else {
      throw Problem.invalid("queries", "is required")
    }
    self.queries = queries
    keys = try LossRows(tensor("keys"), "keys", limits)
    negatives = try LossRows(tensor("negatives"), "negatives", limits)
    positives = try tensor("positives").map { try $0.integers(field: "positives") }
    labels = try tensor("labels").map { try $0.integers(field: "labels") }
  }

  private static func integers(_ value: JSONValue, _ field: String) throws(Problem) -> [Int] {
    guard let entries = value.elements else { throw .invalid(field, "must be a list of whole numbers") }
    var integers: [Int] = []
    integers.reserveCapacity(entries.count)
    for (row, entry) in entries.enumerated() {
      guard let integer = entry.integer else { throw .invalid("\(field)[\(row)]", "must be a whole number") }
      integers.append(integer)
    }
    return integers
  }
}

extension LossRows {
  /// A tensor as the rows `name`: [n, d], or for negatives [n, m, d]; nil when there is none.
  init?(_ tensor: TensorView?, _ name: String, _ limits: Limits) throws {
    guard let tensor else { return nil }
    let shape = tensor.shape
    guard shape.count == 2 || (shape.count == 3 && name == "negatives") else {
      throw Problem.invalid(name, "has \(shape.count) axes")
    }
    guard [.f32, .f16, .bf16].contains(tensor.dtype) else {
      throw Problem.invalid(name, "is \(tensor.dtype.rawValue), not F32, F16 or BF16")
    }
    let rows = shape.dropLast().reduce(1, *)
    try limits.check(count: rows, field: name)
    let values = try tensor.floats()
    let width = max(1, shape.last ?? 1)
    if !values.isFinite, let broken = values.firstIndex(where: { !$0.isFinite }) {
      let group = shape.count == 3 ? max(1, shape[1]) : 1
      throw Problem.invalid("\(name)[\(broken / width / group)]", "is not finite in f32")
    }
    let matrix = try limits.matrix(values, shape: shape, rows: rows, field: name)
    self.init(matrix, perQuery: shape.count == 3 ? shape[1] : nil)
  }
}

extension TensorView {
  /// The elements of an I32 or I64 vector.
  fileprivate func integers(field: String) throws(Problem) -> [Int] {
    guard shape.count == 1, dtype == .i32 || dtype == .i64 else {
      throw .invalid(field, "must be a vector of I32 or I64, not \(dtype.rawValue)\(shape)")
    }
    // SAFETY: loads are unaligned ones within `bytes`.
    return (0..<count).map { index in
      dtype == .i32
        ? Int(Int32(littleEndian: bytes.loadUnaligned(fromByteOffset: index &* 4, as: Int32.self)))
        : Int(truncatingIfNeeded: Int64(littleEndian: bytes.loadUnaligned(fromByteOffset: index &* 8, as: Int64.self)))
    }
  }
}

extension LossInputs {
  /// The rows as vectors; `embedded` holds those of the texts, queries before keys before negatives.
  func resolved(_ embedded: Matrix?) -> LossInput {
    var vectors = EmbeddedRows(embedded)
    let queries = queries.matrix(&vectors)
    let keys = keys.map { $0.matrix(&vectors) }
    let negatives = negatives.map { rows -> Negatives in
      let matrix = rows.matrix(&vectors)
      return rows.perQuery.map { .paired(matrix, perQuery: $0) } ?? .shared(matrix)
    }
    return LossInput(queries: queries, keys: keys, negatives: negatives, positives: positives, labels: labels)
  }
}

extension LossRequest {
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
      guard error.field == "negatives", let row = error.row, let group = inputs.negatives?.perQuery, group > 0 else {
        throw error
      }
      throw Problem.invalid("negatives[\(row / group)][\(row % group)]", error.reason)
    }
  }
}
