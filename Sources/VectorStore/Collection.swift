import Synchronization
import VectorIndex

/// A named set of points with one dimension, searchable by cosine similarity. Everything is in memory.
///
/// Searches work on a snapshot: they never wait for a write to finish and never see half a batch.
public final class Collection: Sendable {
  public let name: String
  public let dimension: Int
  private let state: Mutex<CollectionSnapshot>

  init(name: String, dimension: Int) {
    self.name = name
    self.dimension = dimension
    state = Mutex(CollectionSnapshot(dimension: dimension))
  }

  /// The collection as it stands now; later writes do not touch it.
  public var snapshot: CollectionSnapshot { state.withLock { $0 } }

  /// Inserts `points`, replacing those with the same id; all of them or none.
  ///
  /// - Parameter model: the fingerprint of the model that embedded texts of this batch, remembered by the collection.
  /// - Returns: the version that holds them.
  /// - Throws: ``StoreError`` naming the first point that cannot be stored.
  public func upsert(_ points: [Point], model: String? = nil) throws(StoreError) -> Int {
    var seen: Set<String> = []
    seen.reserveCapacity(points.count)
    for (row, point) in points.enumerated() {
      guard point.vector.count == dimension else {
        throw .dimension(row: row, expected: dimension, found: point.vector.count)
      }
      guard point.vector.contains(where: { $0 != 0 }) else { throw .zeroVector(row: row) }
      guard seen.insert(point.id).inserted else { throw .duplicateID(row: row) }
    }
    return state.withLock { $0.apply(upserts: points, model: model) }
  }

  /// Removes the points with these ids; ids that are not there are passed over.
  public func delete(_ ids: [String]) -> (version: Int, deleted: Int) {
    state.withLock { $0.apply(deletes: ids) }
  }
}
