import Safetensors
import VectorIndex

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// A collection's graph beside the records (docs/adr/0008-saved-graph.md): a cache that may be missing, old or damaged.
struct GraphFile: Sendable {
  /// A graph and the keys of its nodes' points.
  struct Content {
    let version: Int
    let keys: [Int64]
    let image: GraphImage
  }

  private static let format = "1"

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
    guard let directory = opendir(folder) else { return }
    defer { closedir(directory) }
    let kept = Set(ids.map { "graph-\($0).safetensors" })
    while let entry = readdir(directory) {
      // SAFETY: the entry is valid until the next call; its name ends with a zero within the field.
      let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
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
      "version": "\(content.version)", "ef": "\(image.ef)", "recall": image.sampledRecall.map { "\($0)" } ?? "",
    ]
    var writer = SafetensorsWriter()
    do throws(SafetensorsError) {
      let keys = content.keys.map(\.littleEndian)
      let lists = image.lists.map(\.littleEndian)
      let entries = image.entries.map(\.littleEndian)
      var sum = Self.sum(of: metadata)
      for bytes in [keys.bytes, lists.bytes, entries.bytes] { bytes.withUnsafeBytes { sum.add($0) } }
      metadata["checksum"] = Self.hex(sum)
      try writer.add("keys", .i64, [keys.count], keys.bytes)
      try writer.add("lists", .i32, [keys.count, 1 + image.width], lists.bytes)
      try writer.add("entries", .i32, [entries.count], entries.bytes)
    } catch {
      progress("\(path) cannot be written: \(error.message)")
      return false
    }
    let partial = "\(path).partial"
    guard Self.put(writer.serialize(metadata: metadata), at: partial), rename(partial, path) == 0 else {
      progress("\(path) cannot be written: \(String(cString: strerror(errno)))")
      unlink(partial)
      return false
    }
    let descriptor = open(folder, O_RDONLY | O_CLOEXEC)
    if descriptor >= 0 {
      fsync(descriptor)
      close(descriptor)
    }
    return true
  }

  private static func put(_ bytes: [UInt8], at path: String) -> Bool {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else { return false }
    // SAFETY: every write is within the array.
    let isWritten = bytes.withUnsafeBytes { bytes in
      var done = 0
      while done < bytes.count {
        let count = systemWrite(descriptor, UnsafeRawBufferPointer(rebasing: bytes[done...]))
        if count < 0, errno == EINTR { continue }
        guard count > 0 else { return false }
        done += count
      }
      return fsync(descriptor) == 0
    }
    let reason = errno
    let isClosed = close(descriptor) == 0
    if !isWritten { errno = reason }
    return isWritten && isClosed
  }

  // MARK: Reading

  /// - Throws: what is wrong with the file.
  func read(for stored: StoredCollection) throws(SafetensorsError) -> Content {
    let archive = try SafetensorsArchive(memoryMapping: path)
    var metadata = archive.metadata
    let written = metadata.removeValue(forKey: "checksum")
    guard metadata["format"] == Self.format else { throw SafetensorsError(message: "format") }
    guard let keys = archive.tensor("keys"), let lists = archive.tensor("lists"),
      let entries = archive.tensor("entries"), archive.names.count == 3, keys.dtype == .i64, lists.dtype == .i32,
      entries.dtype == .i32, keys.shape.count == 1, entries.shape.count == 1, lists.shape.count == 2,
      lists.shape[0] == keys.count, lists.shape[1] > 1
    else { throw SafetensorsError(message: "tensors") }
    var sum = Self.sum(of: metadata)
    for tensor in [keys, lists, entries] { sum.add(tensor.bytes) }
    guard written == Self.hex(sum) else { throw SafetensorsError(message: "checksum") }
    guard metadata["collection"] == stored.name else { throw SafetensorsError(message: "collection") }
    guard metadata["dim"] == "\(stored.dimension)" else { throw SafetensorsError(message: "dimension") }
    guard metadata["metric"] == stored.metric.rawValue else { throw SafetensorsError(message: "metric") }
    guard let version = metadata["version"].flatMap({ Int($0) }), let ef = metadata["ef"].flatMap({ Int($0) }) else {
      throw SafetensorsError(message: "metadata")
    }
    let image = GraphImage(
      slots: [Int](repeating: -1, count: keys.count), width: lists.shape[1] - 1, lists: lists.integers(),
      entries: entries.integers(), ef: ef, sampledRecall: metadata["recall"].flatMap { Double($0) })
    return Content(version: version, keys: keys.integers(), image: image)
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

private func systemWrite(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) -> Int {
  write(descriptor, bytes.baseAddress, bytes.count)
}

extension Array where Element: FixedWidthInteger {
  fileprivate var bytes: [UInt8] { withUnsafeBytes { [UInt8]($0) } }
}

extension SafetensorsWriter {
  fileprivate mutating func add(
    _ name: String, _ dtype: DType, _ shape: [Int], _ bytes: [UInt8]
  ) throws(SafetensorsError) {
    let added = bytes.withUnsafeBytes { bytes -> Result<Void, SafetensorsError> in
      Result { () throws(SafetensorsError) in try add(name: name, dtype: dtype, shape: shape, bytes: bytes) }
    }
    try added.get()
  }
}

extension TensorView {
  // SAFETY: unaligned loads within `bytes`; the caller has checked that the element type has this size.
  fileprivate func integers<Integer: FixedWidthInteger>() -> [Integer] {
    (0..<count).map {
      Integer(littleEndian: bytes.loadUnaligned(fromByteOffset: $0 * MemoryLayout<Integer>.size, as: Integer.self))
    }
  }
}
