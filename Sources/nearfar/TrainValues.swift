import Training

/// τ as a flag has it.
struct Temperature: Sendable {
  let value: Float
  let isLearned: Bool

  init(_ value: Double, isLearned: Bool = false) {
    self.value = Float(value)
    self.isLearned = isLearned
  }

  /// The first value where it is learned and no other is given.
  static let usual = 0.05
}

extension Accepted<Temperature> {
  /// `0.05`, `learned` and `learned:0.05`.
  static let temperature = Accepted(
    placeholder: "N", rule: "a number above 0, learned, or learned:N with the first value",
    candidates: .words(["learned"])
  ) { text in
    let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    let isLearned = parts[0] == "learned"
    if isLearned, parts.count == 1 { return Temperature(Temperature.usual, isLearned: true) }
    guard parts.count == (isLearned ? 2 : 1),
      let value = Accepted<Double>.number(above: 0, most: 1e6).value(parts.last ?? "")
    else { return nil }
    return Temperature(value, isLearned: isLearned)
  }
}

extension Accepted<TrainerOptions.Warmup> {
  /// A share of all steps with a point, or a number of steps.
  static let warmup = Accepted(
    placeholder: "N", rule: "a share of all steps with a point, from 0.0 to 1.0, or a whole number of steps"
  ) { text in
    if text.utf8.contains(UInt8(ascii: ".")) {
      return Accepted<Double>.number(from: 0, most: 1).value(text).map { .share($0) }
    }
    return Accepted<Int>.integer(0...1 << 40).value(text).map { .steps($0) }
  }
}

extension Accepted<Double> {
  static func number(above least: Double, most: Double) -> Self {
    let rule = "a number above \(shown(least)), at most \(shown(most))"
    return Accepted(placeholder: "N", rule: rule) { text in
      number.value(text).flatMap { $0 > least && $0 <= most ? $0 : nil }
    }
  }

  static func number(from least: Double, most: Double) -> Self {
    let rule = "a number from \(shown(least)) to \(shown(most))"
    return Accepted(placeholder: "N", rule: rule) { text in
      number.value(text).flatMap { $0 >= least && $0 <= most ? $0 : nil }
    }
  }

  /// Without a point where there is nothing behind it.
  private static func shown(_ value: Double) -> String { Int(exactly: value).map(String.init) ?? "\(value)" }
}

extension Accepted {
  /// The value of a text, where the rule says all that can be wrong with it.
  fileprivate func value(_ text: String) -> Value? { try? read(text) }
}
