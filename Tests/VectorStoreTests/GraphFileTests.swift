import Foundation
import SimilarityCore
import StoreSupport
import Synchronization
import TestSupport
import Testing
import VectorIndex
import VectorStore

@Suite("The saved graph")
struct GraphFileTests {
  private static let dimension = 16

  private final class Lines: Sendable {
    private let lines = Mutex<[String]>([])
    func add(_ line: String) { lines.withLock { $0.append(line) } }
    func has(_ text: String) -> Bool { lines.withLock { $0.contains { $0.contains(text) } } }
  }

  private func open(_ folder: TemporaryFolder, _ lines: Lines = Lines()) throws -> CollectionStore {
    var options = IndexOptions()
    options.graphThreshold = 300
    return try CollectionStore(data: .folder(folder.path), index: options, vfs: nil) { lines.add($0) }
  }

  private func points(_ ids: Range<Int>, _ random: inout Seeded) -> [Point] {
    ids.map { Point(id: "p\($0)", vector: random.floats(Self.dimension)) }
  }

  /// A closed folder with one collection and its graph.
  private func filled(_ count: Int, _ metric: Metric = .cosine) throws -> TemporaryFolder {
    let folder = try TemporaryFolder()
    let store = try open(folder)
    var random = Seeded(5)
    let collection = try store.create("c", dimension: Self.dimension, metric: metric).collection
    _ = try collection.upsert(points(0..<count, &random))
    store.close()
    return folder
  }

  private func search(_ collection: VectorCollection, _ mode: SearchOptions.Mode) throws -> [[String]] {
    var random = Seeded(77)
    var search = NeighborSearch(k: 10)
    search.mode = mode
    return try collection.snapshot.nearest(to: random.matrix(50, Self.dimension), search).neighbors
      .map { $0.map { "\($0.id) \($0.score.bitPattern)" } }
  }

  private func expectGood(_ collection: VectorCollection, _ what: Comment = "") throws {
    let report = collection.graphReport
    #expect(report.isSound && report.nodes >= collection.snapshot.count, what)
    let exact = try search(collection, .exact)
    let found = try search(collection, .graph(ef: 100))
    let hits = zip(exact, found).reduce(0) { $0 + Set($1.0).intersection($1.1).count }
    #expect(Double(hits) >= 0.95 * 500, what)
  }

  private func file(_ folder: TemporaryFolder) throws -> URL {
    let names = try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { $0.hasPrefix("graph-") }
    #expect(names.count == 1)
    return URL(fileURLWithPath: folder.path + "/" + (try #require(names.first)))
  }

  @Test(arguments: Metric.allCases)
  func isReadAndNotBuilt(_ metric: Metric) throws {
    let folder = try TemporaryFolder()
    let store = try open(folder)
    var random = Seeded(5)
    let collection = try store.create("c", dimension: Self.dimension, metric: metric).collection
    _ = try collection.upsert(points(0..<2000, &random))
    let before = try search(collection, .graph(ef: 20))
    store.close()
    let lines = Lines()
    let again = try open(folder, lines)
    #expect(lines.has("read the graph of 2000 points") && lines.has("added 0"))
    #expect(try search(again.collection("c"), .graph(ef: 20)) == before)
    try expectGood(again.collection("c"))
    try again.delete("c")
    #expect(!FileManager.default.fileExists(atPath: folder.path + "/graph-1.safetensors"))
    again.close()
  }

  @Test(arguments: ["1", "2", "3"])
  func anEarlierVersionsGraphIsBuiltAnew(_ format: String) throws {
    let folder = try filled(600)
    let url = try file(folder)
    var bytes = try Data(contentsOf: url)
    let place = try #require(bytes.range(of: Data(#""format":"4""#.utf8)))
    bytes.replaceSubrange(place, with: Data(#""format":"\#(format)""#.utf8))
    try bytes.write(to: url)
    let lines = Lines()
    let store = try open(folder, lines)
    #expect(lines.has("is of an earlier version: building the graph anew"))
    try expectGood(store.collection("c"))
    store.close()
    // The file was replaced by one of the current version.
    let later = Lines()
    try open(folder, later).close()
    #expect(later.has("read the graph of 600 points"))
  }

  @Test func recallsMeasurementsAreKept() throws {
    let folder = try TemporaryFolder()
    let store = try open(folder)
    var random = Seeded(5)
    let collection = try store.create("c", dimension: Self.dimension, metric: .euclidean).collection
    _ = try collection.upsert(points(0..<3000, &random))
    let before = try #require(collection.snapshot.graph)
    #expect(before.rows > 20 && before.target == 0.97 && before.measuredAt != nil)
    store.close()
    let again = try open(folder)
    let after = try #require(again.collection("c").snapshot.graph)
    #expect(after.rows == before.rows && after.ef == before.ef && after.expectedRecall == before.expectedRecall)
    again.close()
  }

  @Test func changesAfterTheSaveAreCaughtUp() throws {
    let folder = try filled(2000)
    let url = try file(folder)
    let old = try Data(contentsOf: url)
    let store = try open(folder)
    let collection = try store.collection("c")
    var random = Seeded(6)
    _ = try collection.upsert(points(2000..<2150, &random))
    _ = try collection.upsert(points(0..<150, &random))
    _ = try collection.delete((300..<600).map { "p\($0)" })
    let exact = try search(collection, .exact)
    store.close()
    // The older file is put back, as a kill would have left it.
    try old.write(to: url)
    let lines = Lines()
    let again = try open(folder, lines)
    #expect(lines.has("read the graph of 1550 points") && lines.has("added 300"))
    #expect(try search(again.collection("c"), .exact) == exact)
    try expectGood(again.collection("c"))
    again.close()
  }

  @Test func damageIsFound() throws {
    let folder = try filled(400)
    let url = try file(folder)
    let whole = try Data(contentsOf: url)
    var random = Seeded(41)
    for round in 0..<90 {
      var bytes = whole
      if round < 30 {
        bytes = whole.prefix(round == 0 ? 0 : Int.random(in: 0..<whole.count, using: &random))
      } else {
        // Every third flip is in the header, where most faults are possible.
        let offset = Int.random(in: 0..<(round % 3 == 0 ? 600 : whole.count), using: &random)
        bytes[offset] ^= 1 << UInt8(random.next() % 8)
      }
      try bytes.write(to: url)
      let lines = Lines()
      let store = try open(folder, lines)
      #expect(lines.has("building the graph anew") || lines.has("read the graph of 400"))
      try expectGood(store.collection("c"), "round \(round)")
      store.close()
    }
  }

  @Test func anotherCollectionsFileIsRefused() throws {
    let folder = try filled(400)
    let other = try filled(400, .euclidean)
    try Data(contentsOf: file(other)).write(to: file(folder))
    let lines = Lines()
    let store = try open(folder, lines)
    #expect(lines.has("is damaged (metric): building the graph anew"))
    try expectGood(store.collection("c"))
    store.close()
    try Data(contentsOf: file(folder)).write(to: URL(fileURLWithPath: folder.path + "/graph-99.safetensors"))
    try open(folder).close()
    #expect(try file(folder).lastPathComponent == "graph-1.safetensors")
  }
}
