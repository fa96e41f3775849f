import JSON
import SimilarityCore

/// One of a loss's inputs: vectors, or texts that become vectors.
struct LossRows: Sendable {
  enum Source: Sendable {
    case vectors(Matrix)
    case texts([String])
  }

  let source: Source
  /// Rows of each query's own group; nil where all rows are shared.
  let perQuery: Int?

  /// A list of rows or of texts.
  init(_ value: JSONValue, field: String, _ limits: Limits) throws(Problem) {
    switch try limits.rows(value, field: field) {
    case .vectors(let matrix): source = .vectors(matrix)
    case .texts(let texts): source = .texts(texts)
    }
    perQuery = nil
  }

  init(_ matrix: Matrix, perQuery: Int?) {
    source = .vectors(matrix)
    self.perQuery = perQuery
  }

  /// M rows for all queries, or N groups of M rows, one for each query; rows of numbers or texts.
  init(negatives value: JSONValue, _ limits: Limits) throws(Problem) {
    let field = "negatives"
    guard value.kind == .array else { throw .invalid(field, "must be a list") }
    try limits.check(count: value.count, field: field)
    if Limits.startsWithString(value) {
      self = try LossRows(value, field: field, limits)
      return
    }
    if let groups = value.elements, let first = groups.first, first.kind == .array, Limits.startsWithString(first) {
      self = try Self.groupedTexts(groups, field, limits)
      return
    }
    let tensor = try limits.tensor(value, field: field, rank: 3)
    guard tensor.shape.count >= 2 else { throw .invalid("\(field)[0]", "must be a list of numbers") }
    let rows = tensor.shape.dropLast().reduce(1, *)
    try limits.check(count: rows, field: field)
    source = .vectors(try limits.matrix(tensor.values, shape: tensor.shape, rows: rows, field: field))
    perQuery = tensor.shape.count == 3 ? tensor.shape[1] : nil
  }

  private init(texts: [String], perQuery: Int) {
    source = .texts(texts)
    self.perQuery = perQuery
  }

  private static func groupedTexts(
    _ groups: [JSONValue], _ field: String, _ limits: Limits
  ) throws(Problem) -> LossRows {
    var all: [String] = []
    let size = groups.first?.count ?? 0
    for (index, group) in groups.enumerated() {
      let texts = try limits.texts(group, field: "\(field)[\(index)]")
      guard texts.count == size else {
        throw .invalid("\(field)[\(index)]", "has \(texts.count) texts where the others have \(size)")
      }
      all += texts
    }
    try limits.check(count: all.count, field: field)
    return LossRows(texts: all, perQuery: size)
  }

  /// The texts to embed; none where the rows are vectors.
  var texts: [String] {
    if case .texts(let texts) = source { return texts }
    return []
  }

  /// The rows as vectors; embedded texts are taken from the front of `embedded`.
  func matrix(_ embedded: inout EmbeddedRows) -> Matrix {
    switch source {
    case .vectors(let matrix): matrix
    case .texts(let texts): embedded.take(texts.count)
    }
  }
}

/// Vectors of a request's texts, handed out in the order in which they were embedded.
struct EmbeddedRows {
  private let rows: Matrix?
  private var next = 0

  init(_ rows: Matrix?) {
    self.rows = rows
  }

  /// The next `count` rows.
  mutating func take(_ count: Int) -> Matrix {
    let width = rows?.columns ?? 0
    defer { next += count }
    guard let rows, next + count <= rows.rows else { return Matrix(rows: count, columns: width) { _ in } }
    let part = Array(rows.values[next * width..<(next + count) * width])
    return Matrix(rows: count, columns: width, values: part) ?? Matrix(rows: count, columns: width) { _ in }
  }
}
