import Platform
import Safetensors
import SimilarityCore
import VectorIndex
import VectorStore

/// The file with a collection's graph: whatever it holds, the collection is loaded and searched.
///
/// An input that begins with `{` is a safetensors header, the divider and the data. Any other is a curve of recalls, which replaces
/// that of a valid file, and changes to that file's numbers: a tensor, a place in it and a value. The checksum is made right in both
/// cases, since no change would otherwise come further than to its check.
struct GraphTarget {
  private static let dimension = 4
  private static let count = 40

  private let folder = makeFolder()
  private let valid: SafetensorsArchive
  private var path: String { "\(folder)/graph-1.safetensors" }

  init() {
    // A graph is saved behind the start, so the file is complete once the store has been closed.
    Self.open(folder).close()
    let path = "\(folder)/graph-1.safetensors"
    valid = must { try SafetensorsArchive(WholeFile.read(path)) }
  }

  private static func open(_ folder: String) -> CollectionStore {
    var options = IndexOptions()
    options.graphThreshold = 16
    return must { try CollectionStore(records: FixedRecords(folder: folder, count, dimension), index: options) }
  }

  func run(_ input: [UInt8]) {
    guard let bytes = input.first == 0x7B ? rewritten(SafetensorsTarget.file(input)) : changed(input) else { return }
    put(bytes, at: path)
    let store = Self.open(folder)
    guard let collection = try? store.collection("c") else { finding("the collection is not loaded") }
    let report = collection.graphReport
    require(report.dangling == 0 && report.repeated == 0 && report.nodes == Self.count, "the graph is \(report)")
    check(collection.snapshot)
    store.close()
  }

  /// Searches find points that are there, each once.
  private func check(_ snapshot: CollectionSnapshot) {
    require(snapshot.count == Self.count, "\(snapshot.count) points")
    var search = NeighborSearch(k: 10)
    search.mode = .graph(ef: 20)
    let queries = Matrix(rows: 2, columns: Self.dimension) { out in
      for index in out.indices { out[index] = Float(index) - 2.5 }
    }
    let found = must { try snapshot.nearest(to: queries, search).neighbors }
    for row in found {
      require(row.count == 10 && Set(row.map(\.id)).count == 10, "the neighbours \(row.map(\.id))")
      require(row.allSatisfy { $0.score.isFinite }, "a score that is not finite")
    }
    search.mode = .automatic
    _ = must { try snapshot.nearest(to: queries, search) }
  }

  private func changed(_ input: [UInt8]) -> [UInt8]? {
    var parts = Parts(input)
    let recall = parts.next()
    var choices = Choices(parts.next())
    var tensors = [
      "keys": Array(valid.tensor("keys")?.bytes.map { $0 } ?? []),
      "lists": Array(valid.tensor("lists")?.bytes.map { $0 } ?? []),
    ]
    while !choices.isEmpty {
      let name = choices.byte() % 8 == 0 ? "keys" : "lists"
      let place = choices.byte() << 8 | choices.byte()
      let value = choices.byte()
      guard let count = tensors[name]?.count, count > 0 else { return nil }
      // Values are small or negative, as indices in and just outside of the graph are.
      let word = UInt32(bitPattern: Int32(value) - 100)
      for offset in 0..<4 {
        tensors[name]?[(place * 4 + offset) % count] = UInt8(truncatingIfNeeded: word >> (8 * UInt32(offset)))
      }
    }
    var metadata = valid.metadata
    if !recall.isEmpty { metadata["recall"] = String(decoding: recall, as: UTF8.self) }
    guard let keys = tensors["keys"], let lists = tensors["lists"] else { return nil }
    return file(
      [
        ("keys", .i64, valid.tensor("keys")?.shape ?? [], keys),
        ("lists", .i32, valid.tensor("lists")?.shape ?? [], lists),
      ], metadata)
  }

  private func rewritten(_ bytes: [UInt8]) -> [UInt8]? {
    guard let archive = try? SafetensorsArchive(bytes) else { return bytes }
    let tensors = archive.names.compactMap { archive.tensor($0) }
    return file(tensors.map { ($0.name, $0.dtype, $0.shape, Array($0.bytes)) }, archive.metadata)
  }

  /// A file whose checksum is right.
  private func file(
    _ tensors: [(name: String, dtype: DType, shape: [Int], bytes: [UInt8])], _ metadata: [String: String]
  ) -> [UInt8]? {
    var metadata = metadata
    metadata["checksum"] = nil
    var sum = Checksum(5)
    for (key, value) in metadata.sorted(by: { $0.key < $1.key }) {
      sum.add(key)
      sum.add(value)
    }
    for name in ["keys", "lists"] {
      if let tensor = tensors.first(where: { $0.name == name }) { sum.add(tensor.bytes) }
    }
    metadata["checksum"] = String(UInt64(bitPattern: sum.value), radix: 16)
    var writer = SafetensorsWriter()
    for tensor in tensors {
      do {
        try tensor.bytes.withUnsafeBytes {
          try writer.add(name: tensor.name, dtype: tensor.dtype, shape: tensor.shape, bytes: $0)
        }
      } catch {
        return nil
      }
    }
    return writer.serialize(metadata: metadata)
  }
}

/// One collection whose points are always the same, in a folder that may hold a graph.
private final class FixedRecords: Records {
  let location: RecordsLocation
  let isReadOnly = false
  private let count: Int
  private let stored: StoredCollection

  init(folder: String, _ count: Int, _ dimension: Int) {
    location = RecordsLocation(kind: "folder", description: folder, folder: folder)
    self.count = count
    stored = StoredCollection(id: 1, name: "c", dimension: dimension, metric: .cosine, version: 3, count: count)
  }

  func collections() throws(StoreError) -> [StoredCollection] { [stored] }

  func load(_ collection: StoredCollection, _ body: (Point) throws(OpenError) -> Void) throws(OpenError) {
    var seed: UInt64 = 3
    for number in 0..<count {
      var vector: [Float] = []
      for _ in 0..<stored.dimension {
        seed = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        vector.append(Float(seed >> 40) / Float(1 << 24) - 0.5)
      }
      try body(Point(id: "p\(number)", vector: vector))
    }
  }

  func beginWriting() throws(OpenError) {}
  func commit(_ group: [RecordChange]) throws(StoreError) -> [Result<Committed, StoreError>] { throw .readOnly }
  func changes(of collection: Int64, after version: Int, limit: Int) throws(StoreError) -> ChangePage {
    throw .readOnly
  }
  func close() {}
}
