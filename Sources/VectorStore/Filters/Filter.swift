/// A condition on the metadata of a point.
///
/// The scalars of a metadata object are reached by field: the names of the members on the way, joined by dots. Arrays
/// on the way are looked through, so a field may have several values, and a condition holds when any of them fulfils it
/// (in `{"$gte": 1, "$lt": 5}` each of the two may be fulfilled by another value). `{"a": {"b": 1}}` and `{"a.b": 1}`
/// both have a field `a.b`. A field is missing when no member of that name is there: one that holds `null`, `{}` or `[]`
/// is not missing, and `null` equals a stored `null` only, never a missing field.
///
/// Numbers compare as doubles: integers beyond 2^53 that round to the same double are equal. Strings, and names of
/// fields, compare by their UTF-8 bytes; no Unicode normalisation.
public indirect enum Filter: Sendable {
  /// Every point, also one without metadata.
  case all
  /// A value of the field is among these: `$eq`, `$in`.
  case anyOf(field: String, values: [FilterValue])
  /// A value of the field, of the operand's type, stands in this order to it. No null and no bool does.
  case range(field: String, order: FilterOrder, operand: FilterValue)
  /// The field is not missing.
  case exists(field: String)
  /// All of these hold; true when there are none.
  case and([Filter])
  /// One of these holds; false when there are none.
  case or([Filter])
  /// The other does not hold, which includes that the field is missing: `$ne`, `$nin`, `$not`.
  case not(Filter)
}

/// A scalar of JSON.
public enum FilterValue: Sendable {
  case null
  case bool(Bool)
  case number(Double)
  case string(String)
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
