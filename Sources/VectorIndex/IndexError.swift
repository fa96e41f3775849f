/// Why a vector cannot be stored or searched.
public enum IndexError: Error, Sendable, Equatable {
  /// Row `row` of a batch has `found` values where the index holds `expected`.
  case dimension(row: Int, expected: Int, found: Int)
  /// Row `row` of a batch is all zeros and has no direction, which the cosine needs.
  case zeroVector(row: Int)
  /// Memory could not be had.
  case outOfMemory
  /// The matrix library, or a thread that it needs, failed; values never cause it.
  case libraryFailed
  /// There is no room on the disk for rows.
  case full
  /// Rows cannot be kept on disk, and why.
  case rowsUnavailable(String)
}
