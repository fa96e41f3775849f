import JSON

extension FilterParser {
  /// An operator that compares the values of a field.
  static func comparison(
    _ operation: String, _ field: String, _ operand: JSONValue, _ path: String
  ) throws(FilterError) -> Filter {
    switch operation {
    case "$eq": return .anyOf(field: field, values: [try scalar(operand, path)])
    case "$ne": return .not(.anyOf(field: field, values: [try scalar(operand, path)]))
    case "$in": return .anyOf(field: field, values: try scalars(operand, path))
    case "$nin": return .not(.anyOf(field: field, values: try scalars(operand, path)))
    case "$exists":
      guard let wanted = operand.bool else { throw FilterError(path: path, reason: "must be true or false") }
      return wanted ? .exists(field: field) : .not(.exists(field: field))
    case "$gt": return .range(field: field, order: .above, operand: try comparable(operand, path))
    case "$gte": return .range(field: field, order: .atLeast, operand: try comparable(operand, path))
    case "$lt": return .range(field: field, order: .below, operand: try comparable(operand, path))
    case "$lte": return .range(field: field, order: .atMost, operand: try comparable(operand, path))
    default:
      let hint = operation.utf8.first == UInt8(ascii: "$") ? "" : "; a field of a nested object is written \"a.b\""
      throw FilterError(path: path, reason: "is not an operator here\(hint)")
    }
  }

  private static func scalar(_ value: JSONValue, _ path: String) throws(FilterError) -> FilterValue {
    guard let scalar = FilterValue(value) else {
      throw FilterError(path: path, reason: "must be a string, a number, a bool or null")
    }
    return scalar
  }

  private static func scalars(_ value: JSONValue, _ path: String) throws(FilterError) -> [FilterValue] {
    guard let elements = value.elements else { throw FilterError(path: path, reason: "must be an array") }
    var values: [FilterValue] = []
    values.reserveCapacity(elements.count)
    for (index, element) in elements.enumerated() { values.append(try scalar(element, "\(path)[\(index)]")) }
    return values
  }

  private static func comparable(_ value: JSONValue, _ path: String) throws(FilterError) -> FilterValue {
    switch value.kind {
    case .number, .string: return try scalar(value, path)
    default: throw FilterError(path: path, reason: "must be a number or a string")
    }
  }
}

extension FilterValue {
  /// The scalar that a JSON value is; nil for an array or an object.
  init?(_ value: JSONValue) {
    switch value.kind {
    case .null: self = .null
    case .bool: self = .bool(value.bool ?? false)
    case .number: self = .number(value.double ?? 0)
    case .string: self = .string(value.string ?? "")
    case .array, .object: return nil
    }
  }
}
