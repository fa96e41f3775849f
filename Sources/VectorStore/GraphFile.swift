import Platform
import Safetensors
import Synchronization
import VectorIndex

/// The file with a collection's graph (docs/adr/0008-saved-graph.md): a cache, which may be missing, old or damaged.
struct GraphFile: Sendable {
  /// A graph and the keys of its nodes' points.
  struct Content {
    let version: Int
    let keys: [Int64]
    let image: GraphImage
  }

  /// Raised whenever an earlier graph should be built again:
  ///
  /// * 2: entry points are no longer kept.
  /// * 3: neighbours are chosen by rows instead of codes, and recall is kept by pool.
  /// * 4: the curve of recalls has what exact scans compared.
  private static let format = "4"

  let folder: String
  let path: String
  let progress: @Sendable (String) -> Void

  init(in folder: String, collection: Int64, progress: @escaping @Sendable (String) -> Void) {
    self.folder = folder
    self.progress = progress
    path = "\(folder)/graph-\(collection).safetensors"
  }

  /// What the graph knows a point by: its place in the graph depends on its vector alone.
  static func key(of id: String, _ vector: [Float]) -> Int64 {
    var sum = Checksum(4)
    sum.add(id)
    sum.add(vector)
    return sum.value
  }

  var exists: Bool { access(path, F_OK) == 0 }

  func remove() { unlink(path) }

  /// Removes the graphs of collections that are not among `ids`, and the remains of interrupted writes.
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

  /// Replaces the file, or leaves it as it is and reports why.
  ///
  /// - Returns: whether it was written.
  func write(_ content: Content, of stored: (name: String, dimension: Int, metric: Metric)) -> Bool {
    let image = content.image
    var metadata = [
      "format": Self.format, "collection": stored.name, "dim": "\(stored.dimension)", "metric": stored.metric.rawValue,
      "version": "\(content.version)", "recall": Self.text(image.curve),
    ]
    let keys = content.keys.map { $0.littleEndian }
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

  /// Calls `body` with the lists' bytes, a piece at a time; every piece but the last is a multiple of 8 bytes.
  private func forEachPiece(of image: GraphImage, _ body: (UnsafeRawBufferPointer) -> Bool) -> Bool {
    let perPiece = 4096
    for first in stride(from: 0, to: image.slots.count, by: perPiece) {
      // A key path would be looked up for each number, which takes most of the time of a large graph.
      let piece = image.lists[first..<min(first + perPiece, image.slots.count)].map { $0.littleEndian }
      guard piece.withUnsafeBytes(body) else { return false }
    }
    return true
  }

  // MARK: Reading

  /// Why a graph cannot be read.
  enum ReadFailure: Error {
    /// The file is not as it was written, and how that shows.
    case damaged(String)
    /// The file cannot be read now, and why; nothing is known to be wrong with it.
    case unavailable(String)
  }

  func read(for stored: StoredCollection) throws(ReadFailure) -> Content {
    // Missing memory, descriptors or rights are not damage: the file is opened and mapped once before it is judged.
    if let reason = unreadable() { throw .unavailable(reason) }
    do throws(SafetensorsError) {
      return try content(of: SafetensorsArchive(memoryMapping: path), for: stored)
    } catch {
      throw .damaged(error.message)
    }
  }

  /// - Throws: what is wrong with the file.
  private func content(
    of archive: SafetensorsArchive, for stored: StoredCollection
  ) throws(SafetensorsError) -> Content {
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

  /// Why the file can be neither opened nor mapped; nil when it can.
  private func unreadable() -> String? {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return systemMessage() }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { return systemMessage() }
    guard let bytes = Int(exactly: status.st_size), bytes > 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
    guard let start = mmap(nil, bytes, PROT_READ, MAP_PRIVATE, descriptor, 0), start != MAP_FAILED else {
      return systemMessage()
    }
    munmap(start, bytes)
    return nil
  }

  /// Whether the file was written by an earlier version, whose graphs are built anew.
  var isOlder: Bool {
    guard let archive = try? SafetensorsArchive(memoryMapping: path), let format = archive.metadata["format"] else {
      return false
    }
    return ["1", "2", "3"].contains(format)
  }

  /// For each pool the number of queries, the sum of their recalls, of the squares of these and of the slots that were met;
  /// then the same kind of sums for what exact scans compared.
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

/// How far the file with a collection's graph is behind the collection.
final class SavedGraph: Sendable {
  /// nil where graphs are not saved.
  let file: GraphFile?

  private struct State {
    /// The version of the graph in the file; nil when there is none.
    var version: Int?
    /// Points that have changed since.
    var changed = 0
  }

  private let state: Mutex<State>

  /// - Parameter origin: where the collection's graph comes from.
  init(file: GraphFile?, origin: GraphOrigin = .none) {
    self.file = file
    if case .saved(let version, let added) = origin {
      // Points that were missing in the file count, so that a process that is killed again and again still saves in time.
      state = Mutex(State(version: version, changed: added))
    } else {
      state = Mutex(State())
    }
  }

  var version: Int? { state.withLock { $0.version } }

  /// - Returns: points that have changed since the graph was saved.
  func add(changed: Int) -> Int {
    state.withLock { state in
      state.changed += changed
      return state.changed
    }
  }

  /// - Parameter version: the version that was written; nil when it could not be, which is tried again once as much has
  ///   changed.
  func saved(_ version: Int?) {
    state.withLock { $0 = State(version: version ?? $0.version) }
  }
}

extension VectorCollection {
  /// Saves the graph if there is one and the file has another version. On the writer's queue, or before that is used.
  func saveGraph() {
    let snapshot = snapshot
    guard let file = savedGraph.file, stale == nil, savedGraph.version != snapshot.version, let image = index.image()
    else { return }
    var keys: [Int64] = []
    keys.reserveCapacity(image.slots.count)
    for slot in image.slots {
      guard let record = snapshot.records[slot] else { return }
      keys.append(GraphFile.key(of: record.id, snapshot.vectors.vector(at: slot)))
    }
    let content = GraphFile.Content(version: snapshot.version, keys: keys, image: image)
    let isWritten = file.write(content, of: (name: name, dimension: dimension, metric: metric))
    savedGraph.saved(isWritten ? snapshot.version : nil)
  }
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
