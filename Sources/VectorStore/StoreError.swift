/// Why a collection refuses an operation.
public enum StoreError: Error, Sendable, Equatable {
  case unknownCollection(String)
  /// The collection exists with another dimension or metric.
  case conflict(String)
  /// `row` counts the points of a batch or the queries of a search.
  case dimension(row: Int, expected: Int, found: Int)
  /// A row of zeros has no direction to compare by cosine.
  case zeroVector(row: Int)
  /// An id twice in one batch.
  case duplicateID(row: Int)
  case unknownPoint(row: Int, id: String)
}
