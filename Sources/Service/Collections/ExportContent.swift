import JSON
import Synchronization
import VectorStore

/// Ids, metadata and texts of exported points as JSON arrays; null where a point has none.
///
/// They are held as they stand in a safetensors header, which has them as strings: escaped once more. So the bytes that the
/// header needs are known while they gather, and nothing is copied on the way to the client.
struct ExportLists {
  /// Why the lists end.
  enum End: Equatable {
    /// All points that were wanted are in the lists.
    case complete
    /// The part that was asked for is full; there are more points.
    case part
    /// The point with this id does not fit.
    case full(String)
  }

  private(set) var count = 0
  /// The id of the last point.
  private(set) var last: String?
  private var ids: [UInt8] = []
  private var metadata: [UInt8] = []
  private var texts: [UInt8] = []

  /// Reads points after `after`, a page at a time.
  ///
  /// - Parameters:
  ///   - limit: points that are wanted.
  ///   - part: points that one answer may have.
  ///   - bytes: what all lists may need of a header.
  ///   - isAbandoned: true when nobody waits for the export any more.
  mutating func read(
    _ pages: any PointPages, after: String?, limit: Int, part: Int, bytes: Int, page: Int,
    isAbandoned: () -> Bool
  ) throws(Problem) -> End {
    last = after
    let most = min(limit, part)
    while true {
      guard !isAbandoned() else { throw Problem(503, "the client went away") }
      // One more than is taken: it tells whether there are more.
      let wanted = min(page, most - count)
      let points = try self.page(pages, after: last, limit: wanted + 1)
      for point in points.prefix(wanted) {
        guard add(point, bytes) else { return .full(point.id) }
      }
      guard points.count > wanted else { return .complete }
      if count == most { return most == limit ? .complete : .part }
    }
  }

  private func page(_ pages: any PointPages, after: String?, limit: Int) throws(Problem) -> [Point] {
    do throws(StoreError) {
      return try pages.page(after: after, limit: limit, withVectors: false)
    } catch {
      throw Problem(error, points: "points")
    }
  }

  /// - Returns: whether there was room.
  private mutating func add(_ point: Point, _ most: Int) -> Bool {
    var id = JSONWriter()
    id.string(point.id)
    let entries = [
      Self.escaped(id.bytes), point.metadata.map(Self.escaped) ?? Array("null".utf8), Self.escaped(text: point.text),
    ]
    // Before each list's entry a comma or its bracket; the last three close the lists.
    let needed = ids.count + metadata.count + texts.count + entries.reduce(3) { $0 + $1.count } + 3
    guard needed <= most else { return false }
    let before: UInt8 = count == 0 ? 0x5B : 0x2C
    ids.append(before)
    ids += entries[0]
    metadata.append(before)
    metadata += entries[1]
    texts.append(before)
    texts += entries[2]
    count += 1
    last = point.id
    return true
  }

  /// The `__metadata__` of the export, escaped.
  ///
  /// - Parameter collection: its description.
  consuming func header(collection: [UInt8]) -> [(key: String, value: [UInt8])] {
    if count == 0 { (ids, metadata, texts) = ([0x5B], [0x5B], [0x5B]) }
    ids.append(0x5D)
    metadata.append(0x5D)
    texts.append(0x5D)
    return [
      ("collection", Self.escaped(collection)), ("ids", ids), ("metadata", metadata), ("texts", texts),
    ]
  }

  private static func escaped(text: String?) -> [UInt8] {
    guard let text else { return Array("null".utf8) }
    var writer = JSONWriter()
    writer.string(text)
    return escaped(writer.bytes)
  }

  /// JSON text as the inside of a JSON string.
  static func escaped(_ json: [UInt8]) -> [UInt8] {
    var writer = JSONWriter(reserving: json.count + 16)
    writer.string(String(decoding: json, as: UTF8.self))
    return Array(writer.bytes.dropFirst().dropLast())
  }
}

/// The vectors of a snapshot's points in the order of their ids, as little-endian f32, a piece at a time.
final class VectorPieces: Sendable {
  let byteCount: Int
  private let pages: any PointPages
  private let rowsOfPiece: Int
  /// The id that the next piece follows, and the rows still to come.
  private let place: Mutex<(after: String?, rows: Int)>

  init(_ pages: any PointPages, after: String?, rows: Int, dimension: Int, pieceBytes: Int) {
    self.pages = pages
    byteCount = rows * dimension * 4
    rowsOfPiece = max(1, pieceBytes / (dimension * 4))
    place = Mutex((after, rows))
  }

  /// The next piece; empty behind the last one.
  func next() throws(StoreError) -> [UInt8] {
    try place.withLock { place throws(StoreError) in
      let points = try pages.page(after: place.after, limit: min(rowsOfPiece, place.rows), withVectors: true)
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
