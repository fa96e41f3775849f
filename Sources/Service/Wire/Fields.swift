import JSON

/// The fields of a JSON object, each taken once; what nobody took is unknown and an error.
struct Fields {
  private var remaining: [String: JSONValue] = [:]
  private let order: [String]
  /// Where the object stands, for names in errors: "" or `points[3].`.
  private let prefix: String

  /// - Throws: ``Problem`` when `value` is not an object.
  init(_ value: JSONValue, at place: String = "") throws(Problem) {
    guard let members = value.members else {
      throw .invalid(place.isEmpty ? nil : place, "\(place.isEmpty ? "the body" : place) must be a JSON object")
    }
    prefix = place.isEmpty ? "" : "\(place)."
    order = members.map(\.key)
    for member in members { remaining[member.key] = member.value }
  }

  func name(_ key: String) -> String { prefix + key }

  /// The value of `key`; nil when it is missing or null.
  mutating func take(_ key: String) -> JSONValue? {
    guard let value = remaining.removeValue(forKey: key), !value.isNull else { return nil }
    return value
  }

  /// Whether `key` is there and null.
  func isNull(_ key: String) -> Bool { remaining[key]?.isNull ?? false }

  mutating func required(_ key: String) throws(Problem) -> JSONValue {
    guard let value = take(key) else { throw .invalid(name(key), "is required") }
    return value
  }

  mutating func bool(_ key: String, default fallback: Bool) throws(Problem) -> Bool {
    guard let value = take(key) else { return fallback }
    guard let flag = value.bool else { throw .invalid(name(key), "must be true or false") }
    return flag
  }

  mutating func string(_ key: String) throws(Problem) -> String? {
    guard let value = take(key) else { return nil }
    guard let text = value.string else { throw .invalid(name(key), "must be a string") }
    return text
  }

  /// One of `choices`; the first is the default.
  mutating func choice(_ key: String, of choices: [String]) throws(Problem) -> String {
    guard let text = try string(key) else { return choices.first ?? "" }
    guard choices.contains(text) else {
      throw .invalid(name(key), "must be one of \(choices.joined(separator: ", "))")
    }
    return text
  }

  mutating func integer(_ key: String, in range: ClosedRange<Int>) throws(Problem) -> Int? {
    guard let value = take(key) else { return nil }
    guard let number = value.integer, range.contains(number) else {
      throw .invalid(name(key), "must be a whole number from \(range.lowerBound) to \(range.upperBound)")
    }
    return number
  }

  mutating func number(_ key: String) throws(Problem) -> Double? {
    guard let value = take(key) else { return nil }
    guard let number = value.double else { throw .invalid(name(key), "must be a number") }
    return number
  }

  /// - Throws: ``Problem`` naming the first field that was never taken.
  func finish() throws(Problem) {
    guard let unknown = order.first(where: { remaining[$0] != nil }) else { return }
    throw .invalid(name(unknown), "unknown field '\(unknown)'")
  }
}
