/// What is wrong with a field of a settings file, or with the file as a whole.
public struct FieldError: Error, Sendable, Equatable, CustomStringConvertible {
  /// The file and the path of the key in it, for instance `tokenizer.json: model.type`; the file alone where no single
  /// key is at fault.
  public let key: String
  /// Why the field cannot be used, as a phrase that follows ``key``.
  public let message: String

  public init(key: String, message: String) {
    self.key = key
    self.message = message
  }

  public var description: String { "\(key): \(message)" }
}

/// A value in a settings file together with the path that leads to it, so that every error names the key.
///
/// A member that is null counts as missing, as it does for the programs that write these files.
public struct JSONField: Sendable {
  public let value: JSONValue
  /// The file and the path of this value in it, as in ``FieldError/key``.
  public let key: String
  /// Whether this is the whole file: the path of a member then follows the name of the file.
  private let isRoot: Bool

  /// Parses the text of a file.
  ///
  /// - Parameter file: the name of the file in errors.
  /// - Throws: ``FieldError`` naming the file when the text is not valid JSON.
  public init(parsing text: [UInt8], file: String) throws(FieldError) {
    do {
      value = try JSONDocument(text).root
    } catch {
      throw FieldError(key: file, message: error.describing())
    }
    key = file
    isRoot = true
  }

  private init(_ value: JSONValue, key: String) {
    self.value = value
    self.key = key
    isRoot = false
  }

  /// The error that rejects this field.
  public func refused(_ message: String) -> FieldError { FieldError(key: key, message: message) }

  /// The error that rejects the member `name`, which may be missing.
  public func refused(_ name: String, _ message: String) -> FieldError {
    FieldError(key: path(name), message: message)
  }

  // MARK: Members and elements

  /// The member `name`; nil when it is missing or null, or when this is not an object.
  public func optional(_ name: String) -> JSONField? {
    guard let member = value[name], !member.isNull else { return nil }
    return JSONField(member, key: path(name))
  }

  /// The member `name`.
  ///
  /// - Throws: ``FieldError`` naming the member when it is missing or null.
  public func required(_ name: String) throws(FieldError) -> JSONField {
    guard let field = optional(name) else { throw refused(name, "is missing") }
    return field
  }

  /// The elements of an array in order.
  ///
  /// - Throws: ``FieldError`` naming this field when it is not an array.
  public func elements() throws(FieldError) -> [JSONField] {
    guard let elements = value.elements else { throw refused("must be an array") }
    return elements.enumerated().map { JSONField($1, key: "\(key)\(isRoot ? ": " : "")[\($0)]") }
  }

  /// The members of an object in the order of the file.
  ///
  /// - Throws: ``FieldError`` naming this field when it is not an object.
  public func members() throws(FieldError) -> [(name: String, field: JSONField)] {
    guard let members = value.members else { throw refused("must be an object") }
    return members.map { ($0.key, JSONField($0.value, key: path($0.key))) }
  }

  private func path(_ name: String) -> String { "\(key)\(isRoot ? ": " : ".")\(name)" }

  // MARK: Values
  // Each throws a ``FieldError`` naming this field when the value is of another kind or not among those allowed.

  /// The text of a string.
  public func string() throws(FieldError) -> String {
    guard let string = value.string else { throw refused("must be a string") }
    return string
  }

  /// The text of a string that must be one of `choices`.
  public func string(oneOf choices: [String]) throws(FieldError) -> String {
    let found = try string()
    guard choices.contains(found) else {
      throw refused("\"\(found)\" is not supported; supported: \(choices.joined(separator: ", "))")
    }
    return found
  }

  /// The value of `true` or `false`.
  public func bool() throws(FieldError) -> Bool {
    guard let bool = value.bool else { throw refused("must be true or false") }
    return bool
  }

  /// An integer in `range`. `5.0` is the integer 5.
  public func integer(in range: ClosedRange<Int>) throws(FieldError) -> Int {
    guard let integer = value.integer, range.contains(integer) else {
      throw refused("must be an integer from \(range.lowerBound) to \(range.upperBound)")
    }
    return integer
  }

  /// Any number, as the nearest double.
  public func number() throws(FieldError) -> Double {
    guard let number = value.double else { throw refused("must be a number") }
    return number
  }
}
