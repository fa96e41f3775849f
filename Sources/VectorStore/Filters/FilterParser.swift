import JSON

extension Filter {
  /// Reads a filter from a JSON object; an empty object is ``Filter/all``.
  ///
  /// In `{"lang": "en", "year": {"$gte": 2000}}` all members must hold, as must all operators of a field. A member whose
  /// name begins with `$` is an operator, never a field.
  /// - Parameter path: the name of the whole filter, with which ``FilterError/path`` begins.
  /// - Throws: ``FilterError`` for the first thing that is not allowed.
  public init(_ value: JSONValue, path: String = "filter") throws(FilterError) {
    var parser = FilterParser()
    self = try parser.filter(value, path, depth: 0)
  }
}

/// Reads a filter, counting its clauses.
struct FilterParser {
  private var clauses = 0

  /// `{"field": …, "$and": […], "$or": […], "$not": {…}}`
  mutating func filter(_ value: JSONValue, _ path: String, depth: Int) throws(FilterError) -> Filter {
    guard let members = value.members else { throw FilterError(path: path, reason: "must be an object") }
    guard depth <= FilterLimits.nesting else {
      throw FilterError(path: path, reason: "is nested more than \(FilterLimits.nesting) deep")
    }
    var parts: [Filter] = []
    for (name, operand) in members {
      let place = "\(path).\(shortened(name))"
      switch name {
      case "$and": parts.append(.and(try list(operand, place, depth: depth)))
      case "$or": parts.append(.or(try list(operand, place, depth: depth)))
      case "$not":
        try count(place)
        parts.append(.not(try filter(operand, place, depth: depth + 1)))
      default:
        if name.utf8.first == UInt8(ascii: "$") { throw FilterError(path: place, reason: "is not an operator here") }
        guard name.utf8.count <= FilterLimits.fieldBytes else {
          throw FilterError(path: place, reason: "is longer than \(FilterLimits.fieldBytes) bytes")
        }
        parts.append(try field(name, operand, place, depth: depth))
      }
    }
    return joined(parts)
  }

  private mutating func list(_ value: JSONValue, _ path: String, depth: Int) throws(FilterError) -> [Filter] {
    try count(path)
    guard let elements = value.elements, !elements.isEmpty else {
      throw FilterError(path: path, reason: "must be an array of at least one filter")
    }
    var filters: [Filter] = []
    for (index, element) in elements.enumerated() {
      filters.append(try filter(element, "\(path)[\(index)]", depth: depth + 1))
    }
    return filters
  }

  /// The condition on one field: a scalar to equal, or an object of operators.
  private mutating func field(
    _ name: String, _ value: JSONValue, _ path: String, depth: Int
  ) throws(FilterError) -> Filter {
    guard let members = value.members else {
      try count(path)
      guard let scalar = FilterValue(value) else {
        throw FilterError(path: path, reason: "must be a value or an object of operators; for several values use $in")
      }
      return .anyOf(field: name, values: [scalar])
    }
    guard !members.isEmpty else { throw FilterError(path: path, reason: "must have at least one operator") }
    guard depth <= FilterLimits.nesting else {
      throw FilterError(path: path, reason: "is nested more than \(FilterLimits.nesting) deep")
    }
    var parts: [Filter] = []
    for (operation, operand) in members {
      let place = "\(path).\(shortened(operation))"
      if operation == "$not" {
        try count(place)
        guard operand.kind == .object else { throw FilterError(path: place, reason: "must be an object of operators") }
        parts.append(.not(try field(name, operand, place, depth: depth + 1)))
      } else {
        try count(place)
        parts.append(try FilterParser.comparison(operation, name, operand, place))
      }
    }
    return joined(parts)
  }

  /// Counts one more clause.
  /// - Throws: when there are too many.
  private mutating func count(_ path: String) throws(FilterError) {
    clauses += 1
    guard clauses <= FilterLimits.clauses else {
      throw FilterError(path: path, reason: "is one clause too many: at most \(FilterLimits.clauses)")
    }
  }

  private func joined(_ parts: [Filter]) -> Filter {
    parts.isEmpty ? .all : parts.count == 1 ? parts[0] : .and(parts)
  }

  /// A name as it appears in a path, cut where it is too long for a message.
  private func shortened(_ name: String) -> String {
    name.utf8.count <= 64 ? name : String(decoding: name.utf8.prefix(60), as: UTF8.self) + "…"
  }
}

extension FilterParser {
  /// One operator of a field and its operand.
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
