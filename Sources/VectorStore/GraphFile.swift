import Platform
import Safetensors
import VectorIndex

/// A collection's graph beside the records (docs/adr/0008-saved-graph.md): a cache that may be missing, old or damaged.
struct GraphFile: Sendable {
  /// A graph and the keys of its nodes' points.
  struct Content {
    let version: Int
    let keys: [Int64]
    let image: GraphImage
  }

  /// * 2: entries were no longer kept.
  /// * 3: neighbours were chosen by rows instead of codes, and recall is kept by pool.
  private static let format = "4"

  let folder: String
  let path: String
  let progress: @Sendable (String) -> Void

  init(in folder: String, collection: Int64, progress: @escaping @Sendable (String) -> Void) {
    self.folder = folder
    self.progress = progress
    path = "\(folder)/graph-\(collection).safetensors"
  }

  var exists: Bool { access(path, F_OK) == 0 }

  func remove() { unlink(path) }

  /// Removes the graphs of collections that are not among `ids`, and what an interrupted writer left.
  static func removeOthers(in folder: String, than ids: [Int64]) {
    let kept = Set(ids.map { "graph-\($0).safetensors" })
    for name in Folder.names(in: folder) ?? [] {
      guard name.hasPrefix("graph-"), name.hasSuffix(".safetensors") || name.hasSuffix(".safetensors.partial"),
        !kept.contains(name)
      else { continue }
      unlink("\(folder)/\(name)")
    }
  }

  // MARK: Writing

  /// Replaces the file, or leaves it as it is and says why.
  ///
  /// - Returns: whether it was written.
  func write(_ content: Content, of stored: (name: String, dimension: Int, metric: Metric)) -> Bool {
    let image = content.image
    var metadata = [
      "format": Self.format, "collection": stored.name, "dim": "\(stored.dimension)", "metric": stored.metric.rawValue,
      "version": "\(content.version)", "recall": Self.text(image.curve),
    ]
    let keys = content.keys.map(\.littleEndian)
    var sum = Self.sum(of: metadata)
    keys.withUnsafeBytes { sum.add($0) }
    sum.add(UInt64(Self.listBytes(image)))
    _ = forEachPiece(of: image) {
      sum.addWords($0)
      return true
    }
    metadata["checksum"] = Self.hex(sum)
    let head = SafetensorsHead.bytes(
      of: [
        (name: "keys", dtype: .i64, shape: [keys.count], count: 8 * keys.count),
        (name: "lists", dtype: .i32, shape: [keys.count, 1 + image.lists.width], count: Self.listBytes(image)),
      ], metadata: metadata)
    let isWritten = NewFile.write(path, in: folder) { put in
      head.withUnsafeBytes(put) && keys.withUnsafeBytes(put) && forEachPiece(of: image, put)
    }
    if let reason = isWritten { progress("\(path) cannot be written: \(reason)") }
    return isWritten == nil
  }

  private static func listBytes(_ image: GraphImage) -> Int { image.slots.count * (1 + image.lists.width) * 4 }

  /// The lists' bytes, some at a time: each piece but the last is a multiple of 8.
  private func forEachPiece(of image: GraphImage, _ body: (UnsafeRawBufferPointer) -> Bool) -> Bool {
    let perPiece = 4096
    for first in stride(from: 0, to: image.slots.count, by: perPiece) {
      let piece = image.lists[first..<min(first + perPiece, image.slots.count)].map(\.littleEndian)
      guard piece.withUnsafeBytes(body) else { return false }
    }
    return true
  }

  // MARK: Reading

  /// - Throws: what is wrong with the file.
  func read(for stored: StoredCollection) throws(SafetensorsError) -> Content {
    let archive = try SafetensorsArchive(memoryMapping: path)
    var metadata = archive.metadata
    let written = metadata.removeValue(forKey: "checksum")
    guard metadata["format"] == Self.format else { throw SafetensorsError(message: "format") }
    guard let keys = archive.tensor("keys"), let lists = archive.tensor("lists"),
      archive.names.count == 2, keys.dtype == .i64, lists.dtype == .i32, keys.shape.count == 1, lists.shape.count == 2,
      lists.shape[0] == keys.count, lists.shape[1] > 1
    else { throw SafetensorsError(message: "tensors") }
    var sum = Self.sum(of: metadata)
    for tensor in [keys, lists] { sum.add(tensor.bytes) }
    guard written == Self.hex(sum) else { throw SafetensorsError(message: "checksum") }
    guard metadata["collection"] == stored.name else { throw SafetensorsError(message: "collection") }
    guard metadata["dim"] == "\(stored.dimension)" else { throw SafetensorsError(message: "dimension") }
    guard metadata["metric"] == stored.metric.rawValue else { throw SafetensorsError(message: "metric") }
    guard let version = metadata["version"].flatMap({ Int($0) }), let curve = metadata["recall"].flatMap(Self.curve)
    else {
      throw SafetensorsError(message: "metadata")
    }
    let width = lists.shape[1] - 1
    let image = GraphImage(
      slots: [Int](repeating: -1, count: keys.count),
      // The archive stays mapped as long as its tensor.
      lists: GraphLists(width: width) { lists.integers($0.lowerBound * (1 + width)..<$0.upperBound * (1 + width)) },
      curve: curve)
    return Content(version: version, keys: keys.integers(), image: image)
  }

  /// Whether the file was written by an earlier version, whose graphs are built anew.
  var isOlder: Bool {
    guard let archive = try? SafetensorsArchive(memoryMapping: path), let format = archive.metadata["format"] else {
      return false
    }
    return ["1", "2", "3"].contains(format)
  }

  /// A pool's queries, recalls, their squares and slots met, pool after pool; then what exact scans compared.
  private static func text(_ curve: RecallCurve) -> String {
    (curve.points.map(\.values) + [curve.scans.values]).map { values in
      values.map { "\($0)" }.joined(separator: ":")
    }.joined(separator: ";")
  }

  private static func curve(_ text: String) -> RecallCurve? {
    var sums = text.split(separator: ";", omittingEmptySubsequences: false).map { values in
      values.split(separator: ":", omittingEmptySubsequences: false).compactMap { Double($0) }
    }
    guard let scans = sums.popLast(), scans.count == 3, sums.allSatisfy({ $0.count == 4 }) else { return nil }
    return RecallCurve(
      points: sums.map { RecallCurve.Point(queries: $0[0], recall: $0[1], squares: $0[2], met: $0[3]) },
      scans: RecallCurve.Scans(queries: scans[0], rough: scans[1], full: scans[2]))
  }

  private static func sum(of metadata: [String: String]) -> Checksum {
    var sum = Checksum(5)
    for (key, value) in metadata.sorted(by: { $0.key < $1.key }) {
      sum.add(key)
      sum.add(value)
    }
    return sum
  }

  private static func hex(_ sum: Checksum) -> String { String(UInt64(bitPattern: sum.value), radix: 16) }
}

extension TensorView {
  fileprivate func integers<Integer: FixedWidthInteger>() -> [Integer] { integers(0..<count) }

  // SAFETY: unaligned loads within `bytes`: the range is cut to it, and the caller has checked the element type's size.
  fileprivate func integers<Integer: FixedWidthInteger>(_ range: Range<Int>) -> [Integer] {
    range.clamped(to: 0..<count).map {
      Integer(littleEndian: bytes.loadUnaligned(fromByteOffset: $0 * MemoryLayout<Integer>.size, as: Integer.self))
    }
  }
}
