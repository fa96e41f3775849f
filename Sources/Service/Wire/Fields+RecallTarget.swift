import VectorStore

extension Fields {
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
