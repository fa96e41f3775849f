import Platform

/// The values that a flag takes: help and errors state them from here, and the command line and the environment are read
/// by the same function.
struct Accepted<Value: Sendable>: Sendable {
  /// What stands for the value in help: `N`, `text|json`. Empty for a flag that stands alone.
  let placeholder: String
  /// What a value must be, as an error says it: `a whole number from 0 to 65535`. nil: anything but nothing.
  let rule: String?
  /// The placeholder says it all, so that help need not repeat the rule.
  var isPlain = false
  /// What a shell completes the value with.
  var candidates = Candidates.none
  /// The flag may be given several times. `read` then gets the values with commas between them.
  var isRepeatable = false
  /// - Returns: nil for a value that is not accepted.
  /// - Throws: ``UsageError``, whose words stand behind the flag's name, where the rule does not say what is wrong.
  let read: @Sendable (String) throws(UsageError) -> Value?
}

/// What a shell completes the value of a flag with.
enum Candidates: Equatable, Sendable {
  case words([String])
  case files
  case folders
  /// Nothing, because the value is a number, a name or an address.
  case none
}

extension Accepted<String> {
  /// Any text that is not empty.
  ///
  /// - Parameter placeholder: `FILE` and `DIR` are completed with paths.
  static func text(_ placeholder: String) -> Self {
    let candidates: Candidates =
      switch placeholder {
      case "FILE": .files
      case "DIR": .folders
      default: .none
      }
    return Accepted(placeholder: placeholder, rule: nil, candidates: candidates) { $0.isEmpty ? nil : $0 }
  }

  /// A folder that keeps collections, and so not `:memory:`.
  static let dataFolder = Accepted(
    placeholder: "DIR", rule: "the path of a data folder", isPlain: true, candidates: .folders
  ) {
    $0.isEmpty || $0 == ":memory:" ? nil : $0
  }

  /// One of some words.
  ///
  /// - Parameter placeholder: for words that are too many to stand in the placeholder themselves.
  static func choice(_ words: [String], _ placeholder: String? = nil) -> Self {
    Accepted(
      placeholder: placeholder ?? words.joined(separator: "|"), rule: "one of \(words.joined(separator: ", "))",
      isPlain: placeholder == nil, candidates: .words(words)
    ) { words.contains($0) ? $0 : nil }
  }
}

extension Accepted<[String]> {
  /// Words separated by commas; any words where none are given here.
  static func list(of words: [String]? = nil) -> Self {
    let rule = words.map { "a list of \($0.joined(separator: ", "))" } ?? "a list of names separated by commas"
    return Accepted(
      placeholder: "A,B", rule: rule, isPlain: words == nil, candidates: words.map(Candidates.words) ?? .none
    ) { text in
      let found = text.split(separator: ",").map(String.init)
      return words.map { known in found.allSatisfy(known.contains) } ?? true ? found : nil
    }
  }
}

extension Accepted<Int> {
  /// Decimal digits alone: no sign and no space.
  static func integer(_ range: ClosedRange<Int>) -> Self {
    Accepted(placeholder: "N", rule: "a whole number from \(range.lowerBound) to \(range.upperBound)") { text in
      let isDecimal = text.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
      return (isDecimal ? Int(text) : nil).flatMap { range.contains($0) ? $0 : nil }
    }
  }
}

extension Accepted<Double> {
  static let number = Accepted(placeholder: "N", rule: "a number") { decimal($0) }

  /// Seconds up to a day.
  ///
  /// - Parameter zero: whether 0 is accepted.
  static func seconds(zero: Bool) -> Self {
    let rule = zero ? "a number of seconds from 0 to 86400" : "a number of seconds above 0, at most 86400"
    return Accepted(placeholder: "SECONDS", rule: rule) { text in
      decimal(text).flatMap { ($0 > 0 || zero && $0 == 0) && $0 <= 86_400 ? $0 : nil }
    }
  }

  /// A finite number in decimal; `Double.init` alone takes hexadecimal, `nan` and `inf` as well.
  private static func decimal(_ text: String) -> Double? {
    guard text.utf8.allSatisfy({ "0123456789.eE+-".utf8.contains($0) }) else { return nil }
    return Double(text).flatMap { $0.isFinite ? $0 : nil }
  }
}

extension Accepted<Bool> {
  /// A flag that stands alone for true; `--flag=false` and the environment can say false.
  static let standingAlone = Accepted(placeholder: "", rule: "true or false", isPlain: true) { boolean($0) }
  static let trueOrFalse = Accepted(
    placeholder: "true|false", rule: "true or false", isPlain: true, candidates: .words(["true", "false"])
  ) { boolean($0) }

  private static func boolean(_ text: String) -> Bool? { ["true": true, "false": false][text] }
}

/// One flag of a command: its name, the values it takes, and what it means when it is absent.
struct Flag<Value: Sendable>: CommandFlag {
  enum Absence: Sendable {
    case required
    /// The flag has no value then.
    ///
    /// - Parameter meaning: what that means, as help says it.
    case optional(meaning: String? = nil)
    /// - Parameter shown: the value as help shows it.
    case defaults(to: Value, shown: String)
  }

  let name: String
  let accepted: Accepted<Value>
  let absence: Absence
  /// The flag is also the environment variable ``variable``.
  let isVariable: Bool
  let meaning: String

  /// - Parameter meaning: whole sentences for help.
  init(_ name: String, _ accepted: Accepted<Value>, _ absence: Absence, isVariable: Bool = false, _ meaning: String) {
    self.name = name
    self.accepted = accepted
    self.absence = absence
    self.isVariable = isVariable
    self.meaning = meaning
  }

  var placeholder: String { accepted.placeholder }

  var candidates: Candidates { accepted.candidates }

  var isRepeatable: Bool { accepted.isRepeatable }

  var isRequired: Bool { if case .required = absence { true } else { false } }

  var help: String {
    var sentences = [meaning]
    if let rule = accepted.rule, !accepted.isPlain {
      sentences.append(rule.prefix(1).uppercased() + rule.dropFirst() + ".")
    }
    switch absence {
    case .required: sentences.append("Required.")
    case .optional(let meaning): if let meaning { sentences.append("Default: \(meaning).") }
    case .defaults(_, let shown): sentences.append("Default: \(shown).")
    }
    if isRepeatable { sentences.append("It may be repeated, or have several values with commas between them.") }
    if isVariable { sentences.append("Variable: \(variable).") }
    return sentences.joined(separator: " ")
  }
}

extension Flag.Absence where Value: CustomStringConvertible {
  static func defaults(to value: Value) -> Self { .defaults(to: value, shown: value.description) }
}

/// A flag whatever its values are: what parsing, help and completion need of it.
protocol CommandFlag: Sendable {
  /// Without the dashes.
  var name: String { get }
  /// What stands for the value in help; empty for a flag that stands alone.
  var placeholder: String { get }
  var candidates: Candidates { get }
  /// What the flag is for, in whole sentences, without its rule, default and variable.
  var meaning: String { get }
  var isRequired: Bool { get }
  /// Further values are added to the first.
  var isRepeatable: Bool { get }
  /// What help says of it.
  var help: String { get }
}

extension CommandFlag {
  /// Its presence means true, and no value follows.
  var standsAlone: Bool { placeholder.isEmpty }

  /// `--port N`.
  var usage: String { standsAlone ? "--\(name)" : "--\(name) \(placeholder)" }

  /// `max-body-bytes` is `NEARFAR_MAX_BODY_BYTES`.
  var variable: String { environmentVariable(name) }
}

/// The environment variable of a flag's name.
func environmentVariable(_ flag: String) -> String {
  "NEARFAR_" + String(flag.map { $0 == "-" ? "_" : $0 }).uppercased()
}
