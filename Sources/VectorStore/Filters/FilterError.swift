/// Why a JSON value is not a filter.
public struct FilterError: Error, Sendable, Equatable {
  /// Where: `filter.year.$gte`, `filter.$or[1].lang`.
  public var path: String
  /// What is wrong there, in words for the sender.
  public var reason: String

  public init(path: String, reason: String) {
    self.path = path
    self.reason = reason
  }
}

/// Bounds on what a filter may ask.
public enum FilterLimits {
  /// `$and`, `$or` and `$not` within one another.
  public static let nesting = 16
  /// Operators and equalities in all; values of one `$in` count once.
  public static let clauses = 1000
  /// Bytes of a field's name. Deeper or longer named members of metadata cannot be reached.
  public static let fieldBytes = 512
}
