import Synchronization
import VectorStore

/// The vectors of a snapshot's points in the order of their ids, as little-endian f32, a piece at a time.
final class VectorPieces: Sendable {
  let byteCount: Int
  private let snapshot: CollectionSnapshot
  private let rowsOfPiece: Int
  /// The id that the next piece follows, and the rows still to come.
  private let place: Mutex<(after: String?, rows: Int)>

  init(_ snapshot: CollectionSnapshot, after: String?, rows: Int, dimension: Int, pieceBytes: Int) {
    self.snapshot = snapshot
    byteCount = rows * dimension * 4
    rowsOfPiece = max(1, pieceBytes / (dimension * 4))
    place = Mutex((after, rows))
  }

  /// The next piece; empty behind the last one.
  func next() -> [UInt8] {
    place.withLock { place in
      let points = snapshot.points(after: place.after, limit: min(rowsOfPiece, place.rows))
      guard let last = points.last else { return [] }
      place = (last.id, place.rows - points.count)
      var bytes: [UInt8] = []
      bytes.reserveCapacity(points.reduce(0) { $0 + $1.vector.count * 4 })
      for point in points {
        // Both of the supported processors are little-endian.
        point.vector.withUnsafeBytes { bytes.append(contentsOf: $0) }
      }
      return bytes
    }
  }
}
