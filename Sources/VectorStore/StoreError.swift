/// Why a collection refuses an operation.
public enum StoreError: Error, Sendable, Equatable {
  case unknownCollection(String)
  /// The collection exists with another dimension or metric, or holds texts of another model.
  case conflict(String)
  /// `row` counts the points of a batch or the queries of a search.
  case dimension(row: Int, expected: Int, found: Int)
  /// A row of zeros has no direction to compare by cosine.
  case zeroVector(row: Int)
  /// A row holds an infinity or something that is not a number.
  case notFinite(row: Int)
  /// An id twice in one batch.
  case duplicateID(row: Int)
  case unknownPoint(row: Int, id: String)
  /// Deletions of versions up to `oldest` are not all remembered any more: changes can be told from there on alone, and
  /// whoever follows the collection from an older version loads it anew.
  case tooOld(oldest: Int)
  /// No room on the disk. Nothing has changed; the same write succeeds once there is room.
  case full
  /// The data folder cannot be written: there are reads alone until the next start.
  case readOnly
  /// The records cannot be reached, and why. Nothing has changed; a later attempt may succeed.
  case unavailable(String)
}

/// Why a data folder cannot be used; the text names the path.
public struct OpenError: Error, Sendable, Equatable, CustomStringConvertible {
  public let description: String

  public init(_ description: String) { self.description = description }
}
