import JSON
import Safetensors
import SimilarityCore

/// Rows as they stand in a request: vectors, or texts that are still to be embedded.
struct Rows: Sendable {
  enum Content: Sendable {
    case vectors(Matrix)
    case texts([String])
  }

  let content: Content
  /// Rows in the group of each query; nil where there are no groups and all queries share the rows.
  var perQuery: Int?

  /// The texts to embed; none where the rows are vectors.
  var texts: [String] {
    if case .texts(let texts) = content { return texts }
    return []
  }
}

extension Limits {
  /// Reads a list of texts or of equally long rows of numbers, or where `mayBeGrouped` a list of such lists.
  ///
  /// - Throws: ``Problem`` naming `field` and the row.
  func rows(_ value: JSONValue, field: String, mayBeGrouped: Bool = false) throws(Problem) -> Rows {
    guard value.kind == .array else {
      throw .invalid(field, mayBeGrouped ? "must be a list" : "must be a list of rows or of strings")
    }
    if Self.startsWithString(value) { return Rows(content: .texts(try texts(value, field: field))) }
    guard mayBeGrouped else { return Rows(content: .vectors(try matrix(value, field: field))) }
    try check(count: value.count, field: field)
    if let groups = value.elements, let first = groups.first, first.kind == .array, Self.startsWithString(first) {
      return try groupedTexts(groups, field: field)
    }
    let tensor = try tensor(value, field: field, rank: 3)
    return try rows(tensor.values, shape: tensor.shape, field: field)
  }

  /// Reads a tensor [n, d] of F32, F16 or BF16, or where `mayBeGrouped` one of [n, m, d].
  ///
  /// - Throws: ``Problem`` naming `field`, and the row that is not finite; `SafetensorsError`.
  func rows(_ tensor: TensorView, field: String, mayBeGrouped: Bool = false) throws -> Rows {
    let shape = tensor.shape
    guard shape.count == 2 || (shape.count == 3 && mayBeGrouped) else {
      throw Problem.invalid(field, "has \(shape.count) axes, not 2\(mayBeGrouped ? " or 3" : "")")
    }
    guard [.f32, .f16, .bf16].contains(tensor.dtype) else {
      throw Problem.invalid(field, "is \(tensor.dtype.rawValue), not F32, F16 or BF16")
    }
    let values = try tensor.floats()
    if !values.isFinite, let broken = values.firstIndex(where: { !$0.isFinite }) {
      let entry = shape.dropFirst().reduce(1, *)
      throw Problem.invalid("\(field)[\(broken / max(1, entry))]", "is not finite in f32")
    }
    return try rows(values, shape: shape, field: field)
  }

  /// Reads a tensor [n, d] of F32, F16 or BF16.
  func matrix(_ tensor: TensorView, field: String) throws -> Matrix {
    guard case .vectors(let matrix) = try rows(tensor, field: field).content else { throw Problem.internalError }
    return matrix
  }

  /// Reads a list of equally long, non-empty rows of numbers.
  func matrix(_ value: JSONValue, field: String) throws(Problem) -> Matrix {
    guard value.kind == .array else { throw .invalid(field, "must be a list of rows") }
    try check(count: value.count, field: field)
    let tensor = try tensor(value, field: field, rank: 2)
    guard tensor.shape.count == 2 else { throw .invalid("\(field)[0]", "must be a list of numbers") }
    return try matrix(tensor.values, rows: tensor.shape[0], columns: tensor.shape[1], field: field)
  }

  func tensor(_ value: JSONValue, field: String, rank: Int) throws(Problem) -> JSONTensor {
    do {
      return try value.tensor(maximumRank: rank)
    } catch {
      throw Problem(error, field: field)
    }
  }

  /// Values of the shape [n, d] or [n, m, d].
  private func rows(_ values: [Float], shape: [Int], field: String) throws(Problem) -> Rows {
    guard shape.count >= 2, let columns = shape.last else { throw .invalid("\(field)[0]", "must be a list of numbers") }
    let rows = shape.dropLast().reduce(1, *)
    try check(count: rows, field: field)
    return Rows(
      content: .vectors(try matrix(values, rows: rows, columns: columns, field: field)),
      perQuery: shape.count == 3 ? shape[1] : nil)
  }

  /// The values as rows, checked against the limit of dimensions.
  private func matrix(_ values: [Float], rows: Int, columns: Int, field: String) throws(Problem) -> Matrix {
    guard columns > 0 else { throw .invalid("\(field)[0]", "the row is empty") }
    guard columns <= maxDimension else {
      throw .invalid(field, "rows have \(columns) values, more than the limit of \(maxDimension)")
    }
    guard let matrix = Matrix(rows: rows, columns: columns, values: values) else {
      throw .invalid(field, "its rows differ in length")
    }
    return matrix
  }

  private func groupedTexts(_ groups: [JSONValue], field: String) throws(Problem) -> Rows {
    var all: [String] = []
    let size = groups.first?.count ?? 0
    for (index, group) in groups.enumerated() {
      let texts = try texts(group, field: "\(field)[\(index)]")
      guard texts.count == size else {
        throw .invalid("\(field)[\(index)]", "has \(texts.count) texts where the others have \(size)")
      }
      all += texts
    }
    try check(count: all.count, field: field)
    return Rows(content: .texts(all), perQuery: size)
  }

  /// - Throws: 422 for an empty list, 413 for one over the limit.
  func check(count: Int, field: String) throws(Problem) {
    guard count > 0 else { throw .invalid(field, "must not be empty") }
    guard count <= maxInputs else {
      throw Problem(413, "\(count) entries are more than the limit of \(maxInputs)", param: field)
    }
  }
}

extension [Float] {
  /// Whether no value is infinite or NaN.
  var isFinite: Bool { withUnsafeBufferPointer { $0.isFinite } }
}

extension TensorView {
  /// The elements of an I32 or I64 vector.
  func integers(field: String) throws(Problem) -> [Int] {
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
