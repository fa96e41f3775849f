import JSON
import VectorStore

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

  /// A list of whole numbers.
  mutating func integers(_ key: String) throws(Problem) -> [Int]? {
    guard let value = take(key) else { return nil }
    guard let entries = value.elements else { throw .invalid(name(key), "must be a list of whole numbers") }
    var integers: [Int] = []
    integers.reserveCapacity(entries.count)
    for (row, entry) in entries.enumerated() {
      guard let integer = entry.integer else { throw .invalid("\(name(key))[\(row)]", "must be a whole number") }
      integers.append(integer)
    }
    return integers
  }

  /// Some of `known`, each at most once; nil when the field is missing or null.
  mutating func names(_ key: String, of known: [String]) throws(Problem) -> Set<String>? {
    guard let value = take(key) else { return nil }
    let names: [String]
    do {
      names = try value.strings()
    } catch {
      throw .invalid(name(key), "must be a list of strings")
    }
    if let unknown = names.first(where: { !known.contains($0) }) {
      throw .invalid(name(key), "'\(unknown)' is unknown; known: \(known.joined(separator: ", "))")
    }
    let distinct = Set(names)
    guard distinct.count == names.count else { throw .invalid(name(key), "names one of them twice") }
    return distinct
  }

  /// - Throws: ``Problem`` naming the first field that was never taken.
  func finish() throws(Problem) {
    guard let unknown = order.first(where: { remaining[$0] != nil }) else { return }
    throw .invalid(name(unknown), "unknown field '\(unknown)'")
  }
}

extension Fields {
  /// A condition on points' metadata.
  ///
  /// - Throws: ``Problem`` naming the part of the filter that is not valid.
  mutating func filter(_ key: String) throws(Problem) -> Filter? {
    guard let value = take(key) else { return nil }
    do throws(FilterError) {
      return try Filter(value, path: name(key))
    } catch {
      throw .invalid(error.path, error.reason)
    }
  }

  /// `recall_target`; nil when it is missing or null.
  mutating func recallTarget() throws(Problem) -> RecallTarget? {
    guard let number = try number("recall_target") else { return nil }
    guard let target = RecallTarget(number) else { throw .invalid(name("recall_target"), "must be between 0.5 and 1") }
    return target
  }

  /// `recall_target` as a setting: null is the default, and what is missing stays as it is.
  mutating func recallTargetChange() throws(Problem) -> RecallTargetChange {
    let isNull = isNull("recall_target")
    if let target = try recallTarget() { return .set(target) }
    return isNull ? .reset : .keep
  }
}
