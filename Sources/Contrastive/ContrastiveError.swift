/// Why a batch cannot be scored. `field` is the name of the input, `row` the row in it where one row is to blame.
public struct ContrastiveError: Error, Sendable, Equatable {
  public let field: String
  public let row: Int?
  public let reason: String

  public init(field: String, row: Int? = nil, reason: String) {
    self.field = field
    self.row = row
    self.reason = reason
  }

  /// `queries[3]`, or the field alone.
  public var parameter: String { row.map { "\(field)[\($0)]" } ?? field }
}
