import Platform

/// What a command was called with. A flag's value is that of the command line, else of its environment variable, else the
/// default of the flag.
struct Arguments {
  private var values: [String: String] = [:]

  /// Reads `--flag value` and `--flag=value`.
  ///
  /// - Throws: ``UsageError`` naming the argument at fault. Values are checked when they are asked for.
  init(_ arguments: [String], for command: any Command.Type) throws(UsageError) {
    var rest = arguments[...]
    while let argument = rest.popFirst() {
      guard argument.hasPrefix("--") else { throw UsageError("unexpected argument '\(argument)'") }
      let parts = argument.dropFirst(2).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      let name = String(parts.first ?? "")
      guard let flag = command.flags.first(where: { $0.name == name }) else {
        throw UsageError("unknown flag --\(name)")
      }
      // The values of a flag that may be repeated are one list, as its environment variable has them.
      let before = flag.isRepeatable ? values[name].map { "\($0)," } ?? "" : ""
      if parts.count == 2 {
        values[name] = before + parts[1]
      } else if flag.standsAlone {
        values[name] = "true"
      } else if let value = rest.popFirst(), !value.hasPrefix("--") {
        values[name] = before + value
      } else {
        // What looks like a flag is a forgotten value far more often than a value; `--flag=--value` says otherwise.
        throw UsageError("--\(name) needs a value")
      }
    }
    // Help promises these; a wrong call is to be known before anything else happens.
    if let missing = command.flags.first(where: { $0.isRequired && values[$0.name] == nil }) {
      throw UsageError("--\(missing.name) is required")
    }
  }

  /// The value of the flag, or its default.
  ///
  /// - Throws: ``UsageError`` for a value that the flag does not take.
  func value<Value>(_ flag: Flag<Value>) throws(UsageError) -> Value {
    if let value = try given(flag) { return value }
    guard case .defaults(let value, _) = flag.absence else { throw UsageError("--\(flag.name) is required") }
    return value
  }

  /// The value of the flag; nil when neither the command line nor the environment has one.
  ///
  /// - Throws: ``UsageError`` for a value that the flag does not take.
  func given<Value>(_ flag: Flag<Value>) throws(UsageError) -> Value? {
    let text: String
    var place = "--\(flag.name)"
    if let value = values[flag.name] {
      text = value
    } else if flag.isVariable, let value = getenv(flag.variable) {
      text = String(cString: value)
      place += " (from \(flag.variable))"
    } else {
      return nil
    }
    do throws(UsageError) {
      if let value = try flag.accepted.read(text) { return value }
    } catch {
      throw UsageError("\(place): \(error)")
    }
    throw UsageError(
      flag.accepted.rule.map { "\(place) must be \($0), not '\(text)'" } ?? "\(place) must not be empty")
  }
}

/// Why a call is wrong, naming the flag at fault; it ends with exit status 2.
struct UsageError: Error, CustomStringConvertible {
  let description: String

  init(_ description: String) { self.description = description }
}
