import VectorIndex

/// Why a collection refuses an operation.
public enum StoreError: Error, Sendable, Equatable {
  case unknownCollection(String)
  /// The collection exists with another dimension or metric, or holds texts of another model.
  case conflict(String)
  /// `row` counts the points of a batch or the queries of a search.
  case dimension(row: Int, expected: Int, found: Int)
  /// A row of zeros has no direction to compare by cosine.
  case zeroVector(row: Int)
  /// A row holds an infinity or a NaN.
  case notFinite(row: Int)
  /// The id of this row is that of an earlier one in the batch, too.
  case duplicateID(row: Int)
  case unknownPoint(row: Int, id: String)
  /// Deletions up to version `oldest` have been forgotten: changes are available only from that version on, and whoever follows
  /// the collection from an older one has to load it again.
  case tooOld(oldest: Int)
  /// A change was derived from a version that is no longer the newest. Nothing has changed.
  case outdated(version: Int)
  /// Another replica holds the collection, and has not let go of it in the time that this one waits at once. Nothing has changed.
  case busy
  /// The key of a change was used with another one. Nothing has changed.
  case keyReused
  /// There is no room on the disk. Nothing has changed; the same write succeeds once there is room.
  case full
  /// The place of the records cannot be written: only reads are possible until the next start.
  case readOnly
  /// There is not enough memory. Nothing has changed; a later attempt may succeed.
  case outOfMemory
  /// The matrix library, or a thread that it needs, failed; values never cause it. Nothing has changed.
  case libraryFailed
  /// What is stored is not what was written, and how that shows.
  case damaged(String)
  /// The records do not have what a collection was asked to be kept with, and what that is.
  case unsupported(String)
  /// The records cannot be reached, and why. Nothing has changed; a later attempt may succeed.
  case unavailable(String)
}

extension StoreError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .unknownCollection(let name): "there is no collection '\(name)'"
    case .conflict(let reason), .damaged(let reason), .unavailable(let reason), .unsupported(let reason): reason
    case .dimension(let row, let expected, let found):
      "row \(row) has \(found) values where the collection has \(expected)"
    case .zeroVector(let row): "row \(row) is all zeros and has no direction"
    case .notFinite(let row): "row \(row) holds a value that is not finite"
    case .duplicateID(let row): "the id of row \(row) appears twice in the batch"
    case .unknownPoint(_, let id): "there is no point '\(id)'"
    case .tooOld(let oldest): "changes are available only from version \(oldest) on"
    case .outdated(let version): "the collection has reached version \(version) meanwhile"
    case .busy: "another replica holds what is to be changed, and does not let go of it"
    case .keyReused: "the key was used with another request"
    case .full: "there is no room on the disk"
    case .readOnly: "the data folder cannot be written"
    case .outOfMemory: "there is not enough memory"
    case .libraryFailed: "the matrix library failed"
    }
  }

  package init(_ error: IndexError) {
    switch error {
    case .dimension(let row, let expected, let found): self = .dimension(row: row, expected: expected, found: found)
    case .zeroVector(let row): self = .zeroVector(row: row)
    case .outOfMemory: self = .outOfMemory
    case .libraryFailed: self = .libraryFailed
    case .full: self = .full
    case .rowsUnavailable(let reason): self = .unavailable("rows cannot be kept on disk: \(reason)")
    }
  }
}

/// Why records cannot be opened or loaded. The text names the path.
public struct OpenError: Error, Sendable, Equatable, CustomStringConvertible {
  /// What kind of failure it is: only one of them says that stored data is lost.
  public enum Cause: Sendable, Equatable {
    /// The place cannot be used as it is: in use, not there, not readable, of another program or a newer version.
    case unusable
    /// What is stored is not what was written.
    case damaged
    /// There is not enough memory; nothing is known to be wrong with what is stored.
    case outOfMemory
    /// The matrix library, or a thread that it needs, failed; nothing is known to be wrong with what is stored.
    case libraryFailed
    /// What was to be read has been dropped meanwhile.
    case gone
  }

  public let description: String
  public let cause: Cause

  public init(_ description: String, cause: Cause = .unusable) {
    self.description = description
    self.cause = cause
  }

  /// - Parameter what: what failed, before the reason.
  package init(_ what: String, _ error: StoreError) {
    description = "\(what): \(error)"
    cause =
      switch error {
      case .damaged: .damaged
      case .outOfMemory: .outOfMemory
      case .libraryFailed: .libraryFailed
      case .unknownCollection: .gone
      default: .unusable
      }
  }
}
