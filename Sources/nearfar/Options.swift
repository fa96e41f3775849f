/// Why the program does not start; the flag is named.
struct UsageError: Error, CustomStringConvertible {
  let description: String
}

/// Flags of one command: from the command line, else the environment variable `NEARFAR_…`, else the default.
struct Options {
  private var values: [String: String] = [:]
  private let environment: [String: String]

  /// Reads `--flag value` and `--flag=value`.
  ///
  /// - Parameters:
  ///   - known: the flags of the command, without dashes.
  ///   - switches: those that mean true when they stand alone.
  init(
    _ arguments: ArraySlice<String>, known: [String], switches: [String] = [], environment: [String: String]
  ) throws(UsageError) {
    self.environment = environment
    var rest = arguments
    while let argument = rest.popFirst() {
      guard argument.hasPrefix("--") else { throw UsageError(description: "unexpected argument '\(argument)'") }
      let parts = argument.dropFirst(2).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      let name = String(parts.first ?? "")
      guard known.contains(name) else { throw UsageError(description: "unknown flag --\(name)") }
      if parts.count == 2 {
        values[name] = String(parts[1])
      } else if switches.contains(name) {
        values[name] = "true"
      } else if let value = rest.popFirst() {
        values[name] = value
      } else {
        throw UsageError(description: "--\(name) needs a value")
      }
    }
  }

  /// `max-body-bytes` is `NEARFAR_MAX_BODY_BYTES`.
  static func variable(_ name: String) -> String {
    "NEARFAR_" + String(name.map { $0 == "-" ? "_" : $0 }).uppercased()
  }

  func string(_ name: String) -> String? {
    values[name] ?? environment[Self.variable(name)]
  }

  func required(_ name: String) throws(UsageError) -> String {
    guard let text = string(name), !text.isEmpty else { throw UsageError(description: "--\(name) is required") }
    return text
  }

  func integer(_ name: String, default fallback: Int, in range: ClosedRange<Int>) throws(UsageError) -> Int {
    guard let text = string(name) else { return fallback }
    guard let number = Self.decimal(text), range.contains(number) else {
      throw UsageError(
        description: "--\(name) must be a whole number from \(range.lowerBound) to \(range.upperBound), not '\(text)'")
    }
    return number
  }

  /// Digits only: no sign, no space.
  private static func decimal(_ text: String) -> Int? {
    text.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) } ? Int(text) : nil
  }

  /// Seconds.
  func seconds(_ name: String, default fallback: Double) throws(UsageError) -> Double {
    guard let text = string(name) else { return fallback }
    guard let number = Double(text), number > 0, number <= 86_400 else {
      throw UsageError(description: "--\(name) must be a number of seconds above 0, not '\(text)'")
    }
    return number
  }

  func choice(_ name: String, of choices: [String]) throws(UsageError) -> String {
    guard let text = string(name) else { return choices.first ?? "" }
    guard choices.contains(text) else {
      throw UsageError(description: "--\(name) must be one of \(choices.joined(separator: ", ")), not '\(text)'")
    }
    return text
  }

  /// A flag of the interface that this version does not serve.
  func refuse(_ name: String) throws(UsageError) {
    if string(name) != nil { throw UsageError(description: "--\(name) is not served by this version") }
  }
}
