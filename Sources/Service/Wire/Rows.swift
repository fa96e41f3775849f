import JSON
import SimilarityCore

/// Rows of numbers or texts as they stand in a request.
enum Rows {
  case vectors(Matrix)
  case texts([String])
}

extension Limits {
  /// Reads a list of texts, or of equally long rows of numbers.
  ///
  /// - Throws: ``Problem`` naming `field` and the row.
  func rows(_ value: JSONValue, field: String) throws(Problem) -> Rows {
    guard value.kind == .array else { throw .invalid(field, "must be a list of rows or of strings") }
    return Self.startsWithString(value)
      ? .texts(try texts(value, field: field)) : .vectors(try matrix(value, field: field))
  }

  /// Asks for all strings: the attempt ends at the first entry when that is none.
  static func startsWithString(_ value: JSONValue) -> Bool {
    do {
      return try !value.strings().isEmpty
    } catch {
      return error.path != [0]
    }
  }

  /// Reads one text or a list of them.
  func oneOrMoreTexts(_ value: JSONValue, field: String) throws(Problem) -> [String] {
    guard let text = value.string else {
      guard value.kind == .array else { throw .invalid(field, "must be a string or a list of strings") }
      return try texts(value, field: field)
    }
    try check([text], field: field)
    return [text]
  }

  /// Reads a list of texts.
  func texts(_ value: JSONValue, field: String) throws(Problem) -> [String] {
    guard value.kind == .array else { throw .invalid(field, "must be a list of strings") }
    try check(count: value.count, field: field)
    let texts: [String]
    do {
      texts = try value.strings()
    } catch {
      throw Problem(error, field: field)
    }
    try check(texts, field: field)
    return texts
  }

  private func check(_ texts: [String], field: String) throws(Problem) {
    for (index, text) in texts.enumerated() where text.utf8.count > maxCharacters {
      // A character is at least one byte: only a text of that many bytes needs counting.
      guard text.unicodeScalars.count > maxCharacters else { continue }
      throw Problem(
        413, "the text has more than the limit of \(maxCharacters) characters", param: "\(field)[\(index)]")
    }
  }

  /// Reads a list of equally long, non-empty rows of numbers.
  func matrix(_ value: JSONValue, field: String) throws(Problem) -> Matrix {
    guard value.kind == .array else { throw .invalid(field, "must be a list of rows") }
    try check(count: value.count, field: field)
    let tensor = try tensor(value, field: field, rank: 2)
    guard tensor.shape.count == 2 else { throw .invalid("\(field)[0]", "must be a list of numbers") }
    return try matrix(tensor.values, shape: tensor.shape, rows: tensor.shape[0], field: field)
  }

  func tensor(_ value: JSONValue, field: String, rank: Int) throws(Problem) -> JSONTensor {
    do {
      return try value.tensor(maximumRank: rank)
    } catch {
      throw Problem(error, field: field)
    }
  }

  /// `rows` rows of the last axis, checked against the limit of dimensions.
  func matrix(_ values: [Float], shape: [Int], rows: Int, field: String) throws(Problem) -> Matrix {
    let columns = shape.last ?? 0
    guard columns > 0 else { throw .invalid("\(field)[0]", "the row is empty") }
    guard columns <= maxDimension else {
      throw .invalid(field, "rows have \(columns) values, more than the limit of \(maxDimension)")
    }
    guard let matrix = Matrix(rows: rows, columns: columns, values: values) else {
      throw .invalid(field, "its rows differ in length")
    }
    return matrix
  }

  /// - Throws: 422 for an empty list, 413 for one over the limit.
  func check(count: Int, field: String) throws(Problem) {
    guard count > 0 else { throw .invalid(field, "must not be empty") }
    guard count <= maxInputs else {
      throw Problem(413, "\(count) entries are more than the limit of \(maxInputs)", param: field)
    }
  }
}
