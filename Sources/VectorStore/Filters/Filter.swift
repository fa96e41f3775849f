/// A condition on the metadata of a point.
///
/// A field is a path to scalars in the metadata object: the names of the members on the way, joined by dots. Arrays on the
/// way are transparent, so a field may have several values, and a condition holds when any of them fulfils it (in
/// `{"$gte": 1, "$lt": 5}` two different values may fulfil the two parts). `{"a": {"b": 1}}` and `{"a.b": 1}` both have a
/// field `a.b`. A field is missing when there is no member of that name: one that holds `null`, `{}` or `[]` is not
/// missing, and `null` equals a stored `null` only, never a missing field.
///
/// Numbers compare by their exact value, integers and fractions with each other: integers of 64 bits, signed or unsigned,
/// are kept as they are; every other number is read as the nearest double, and so are integers that 64 bits do not hold.
/// Strings, and names of fields, compare by their UTF-8 bytes, without Unicode normalisation.
public indirect enum Filter: Sendable {
  /// Every point, including those without metadata.
  case all
  /// A value of the field equals one of these: `$eq`, `$in`.
  case anyOf(field: String, values: [FilterValue])
  /// A value of the field has the operand's type and stands in this order to it. Null and bools have no order.
  case range(field: String, order: FilterOrder, operand: FilterValue)
  /// The field is not missing.
  case exists(field: String)
  /// All of these hold; true for an empty list.
  case and([Filter])
  /// At least one of these holds; false for an empty list.
  case or([Filter])
  /// The given filter does not hold, for example because the field is missing: `$ne`, `$nin`, `$not`.
  case not(Filter)
}

/// How a stored value stands to the operand of a range.
public enum FilterOrder: Sendable {
  /// `$lt`
  case below
  /// `$lte`
  case atMost
  /// `$gt`
  case above
  /// `$gte`
  case atLeast
}

/// Why a JSON value is not a filter.
public struct FilterError: Error, Sendable, Equatable {
  /// The place of the fault, such as `filter.year.$gte` or `filter.$or[1].lang`.
  public var path: String
  /// What is wrong there, in words for the sender; it continues a sentence that begins with the path.
  public var reason: String

  public init(path: String, reason: String) {
    self.path = path
    self.reason = reason
  }
}

/// Bounds on the size of a filter.
public enum FilterLimits {
  /// How deep `$and`, `$or` and `$not` may be nested.
  public static let nesting = 16
  /// Operators and equalities in the whole filter; the values of one `$in` count once.
  public static let clauses = 1000
  /// Bytes of a field's path. Members of metadata with a longer path cannot be filtered by.
  public static let fieldBytes = 512
}
