import SimilarityCore
import StoreSupport
import Synchronization
import TestSupport
import Testing
import VectorIndex
import VectorStore

@Suite struct CollectionTests {
  private func collection(_ records: RecordsKind, dimension: Int = 2) throws -> VectorCollection {
    try records.store().create("c", dimension: dimension).collection
  }

  @Test(arguments: RecordsKind.allCases) func upsertsReplaceByID(_ records: RecordsKind) throws {
    let collection = try collection(records)
    #expect(try collection.upsert([Point(id: "b", vector: [1, 0]), Point(id: "a", vector: [0, 1])]) == 1)
    #expect(try collection.upsert([Point(id: "a", vector: [1, 1], text: "t", metadata: Array("{}".utf8))]) == 2)
    let snapshot = collection.snapshot
    #expect(snapshot.count == 2)
    #expect(snapshot.point("a") == Point(id: "a", vector: [1, 1], text: "t", metadata: Array("{}".utf8)))
    #expect(snapshot.point("z") == nil)
  }

  @Test(arguments: RecordsKind.allCases) func aBadPointStopsTheWholeBatch(_ records: RecordsKind) throws {
    let collection = try collection(records)
    let good = Point(id: "a", vector: [1, 0])
    for (bad, error) in [
      (Point(id: "b", vector: [1]), StoreError.dimension(row: 1, expected: 2, found: 1)),
      (Point(id: "b", vector: [0, 0]), .zeroVector(row: 1)),
      (Point(id: "a", vector: [1, 1]), .duplicateID(row: 1)),
    ] {
      #expect(throws: error) { try collection.upsert([good, bad]) }
    }
    #expect(collection.snapshot.count == 0)
    #expect(collection.snapshot.version == 0)
  }

  @Test(arguments: RecordsKind.allCases) func deletesKeepTheOthersFindable(_ records: RecordsKind) throws {
    let collection = try collection(records)
    _ = try collection.upsert((1...50).map { Point(id: "p\($0)", vector: [Float($0), 1]) })
    let (version, deleted) = try collection.delete(["p1", "p50", "p7", "unknown", "p7"])
    #expect(version == 2)
    #expect(deleted == 3)
    let snapshot = collection.snapshot
    #expect(snapshot.count == 47)
    for number in 1...50 {
      let expected: [Float]? = [1, 7, 50].contains(number) ? nil : [Float(number), 1]
      #expect(snapshot.point("p\(number)")?.vector == expected)
    }
    // A deletion that removes nothing does not make a new version.
    #expect(try collection.delete(["p1"]) == (2, 0))
  }

  @Test(arguments: RecordsKind.allCases) func nearestByCosineWithTiesByID(_ records: RecordsKind) throws {
    let collection = try collection(records)
    _ = try collection.upsert([
      Point(id: "c", vector: [2, 0]), Point(id: "a", vector: [5, 0]), Point(id: "d", vector: [0, 1]),
      Point(id: "b", vector: [1, 1]),
    ])
    let snapshot = collection.snapshot
    func found(_ queries: [Float], k: Int, excluding: [String?] = []) throws -> [[Neighbor]] {
      var search = NeighborSearch(k: k)
      search.excluding = excluding
      let matrix = try #require(Matrix(rows: queries.count / 2, columns: 2, values: queries))
      return try snapshot.nearest(to: matrix, search).neighbors
    }
    let all = try found([3, 0, 0, 1], k: 4)
    #expect(all.map { $0.map(\.id) } == [["a", "c", "b", "d"], ["d", "b", "a", "c"]])
    #expect(all[0][0].score == 1)
    #expect(all[0][0].vector == [5, 0])
    #expect(abs(all[0][2].score - 0.5.squareRoot()) < 1e-12)
    #expect(try found([3, 0, 3, 0], k: 2, excluding: ["a", nil]).map { $0.map(\.id) } == [["c", "b"], ["a", "c"]])
    #expect(throws: StoreError.zeroVector(row: 1)) { try found([1, 0, 0, 0], k: 1) }
  }

  @Test(arguments: RecordsKind.allCases, [Metric.dot, .euclidean])
  func otherMetricsTakeAVectorOfZeros(_ records: RecordsKind, metric: Metric) throws {
    let collection = try records.store().create("c", dimension: 2, metric: metric).collection
    _ = try collection.upsert([Point(id: "o", vector: [0, 0]), Point(id: "a", vector: [3, 4])])
    let query = try #require(Matrix(rows: 1, columns: 2, values: [3, 0]))
    let found = try collection.snapshot.nearest(to: query, NeighborSearch(k: 2)).neighbors[0]
    #expect(found.map(\.score) == (metric == .dot ? [9, 0] : [-3, -4]))
    #expect(found.map(\.id) == (metric == .dot ? ["a", "o"] : ["o", "a"]))
    #expect(throws: StoreError.notFinite(row: 0)) { try collection.upsert([Point(id: "n", vector: [.nan, 1])]) }
  }

  @Test(arguments: RecordsKind.allCases) func filtersSearchAndDelete(_ records: RecordsKind) throws {
    let collection = try collection(records)
    _ = try collection.upsert(
      (0..<60).map { number in
        Point(
          id: "p\(number)", vector: [Float(number), 10],
          metadata: number % 6 == 0 ? nil : Array(#"{"n":\#(number % 3)}"#.utf8))
      })
    var search = NeighborSearch(k: 3)
    search.filter = .anyOf(field: "n", values: [.number(1)])
    let query = try #require(Matrix(rows: 1, columns: 2, values: [1, 0]))
    let found = try collection.snapshot.nearest(to: query, search)
    #expect(found.matching == 20)
    #expect(found.neighbors[0].map(\.id) == ["p58", "p55", "p52"])
    _ = try collection.upsert([Point(id: "p58", vector: [58, 10], metadata: Array(#"{"n":2}"#.utf8))])
    #expect(try collection.snapshot.nearest(to: query, search).neighbors[0].map(\.id) == ["p55", "p52", "p49"])
    #expect(try collection.delete(where: .anyOf(field: "n", values: [.number(1)])) == (3, 19))
    #expect(collection.snapshot.count == 41)
    #expect(try collection.snapshot.nearest(to: query, search).neighbors.map(\.count) == [0])
    #expect(try collection.delete(where: .anyOf(field: "n", values: [.number(1)])) == (3, 0))
    #expect(try collection.delete(where: .not(.exists(field: "n"))) == (4, 10))
    #expect(collection.snapshot.count == 31)
  }

  @Test(arguments: RecordsKind.allCases) func listsInTheOrderOfIDs(_ records: RecordsKind) throws {
    let collection = try collection(records)
    _ = try collection.upsert(["b", "ä", "a", "c"].map { Point(id: $0, vector: [1, 2]) })
    let snapshot = collection.snapshot
    #expect(snapshot.points(after: nil, limit: 3).map(\.id) == ["a", "b", "c"])
    #expect(snapshot.points(after: "b", limit: 9).map(\.id) == ["c", "ä"])
    #expect(snapshot.points(after: "zzz", limit: 9).map(\.id) == ["ä"])
  }

  /// Each batch writes the same value to all points, so that a reader who saw half of a batch would see two values.
  @Test(arguments: RecordsKind.allCases) func readersNeverSeeHalfABatch(_ records: RecordsKind) async throws {
    let collection = try collection(records, dimension: 1)
    let ids = (0..<1500).map { "p\($0)" }
    _ = try collection.upsert(ids.map { Point(id: $0, vector: [1]) })
    await withTaskGroup(of: Void.self) { group in
      group.addTask {
        for value in 2...60 {
          _ = try? collection.upsert(ids.map { Point(id: $0, vector: [Float(value)]) })
        }
      }
      for _ in 0..<2 {
        group.addTask {
          for _ in 0..<60 {
            let snapshot = collection.snapshot
            let values = Set(ids.compactMap { snapshot.point($0)?.vector.first })
            #expect(values == [Float(snapshot.version)])
          }
        }
      }
    }
    #expect(collection.snapshot.version == 60)
  }
}

@Suite struct CollectionStoreTests {
  @Test(arguments: RecordsKind.allCases) func makesFindsAndDeletes(_ records: RecordsKind) throws {
    let store = try records.store()
    #expect(try store.create("b", dimension: 3).created)
    #expect(try store.create("a", dimension: 4).created)
    #expect(try !store.create("b", dimension: 3).created)
    #expect(throws: StoreError.conflict("collection 'b' exists with dimension 3 and metric cosine")) {
      try store.create("b", dimension: 4)
    }
    #expect(throws: StoreError.conflict("collection 'b' exists with dimension 3 and metric cosine")) {
      try store.create("b", dimension: 3, metric: .dot)
    }
    #expect(store.all.map(\.name) == ["a", "b"])
    try store.delete("a")
    #expect(throws: StoreError.unknownCollection("a")) { try store.collection("a") }
    #expect(throws: StoreError.unknownCollection("a")) { try store.delete("a") }
  }
}

extension CollectionTests {
  private func metadata(_ text: String) -> [UInt8] { Array(text.utf8) }

  @Test(arguments: RecordsKind.allCases) func metadataChangesAloneKeepVectorsInPlace(_ records: RecordsKind) throws {
    let collection = try collection(records)
    _ = try collection.upsert([
      Point(id: "a", vector: [1, 0], text: "t", metadata: metadata("{\"x\":1,\"y\":2}")),
      Point(id: "b", vector: [0, -0.0 + 1]),
    ])
    let before = collection.snapshot
    let outcome = try collection.change(
      [
        MetadataChange(id: "z", metadata: metadata("{}")),
        MetadataChange(id: "a", metadata: metadata("{\"y\":null,\"z\":[18446744073709551615]}")),
      ], .merge)
    #expect(outcome.version == 2)
    #expect(outcome.updated == 1)
    #expect(outcome.missing == ["z"])
    let expected = Point(
      id: "a", vector: [1, 0], text: "t", metadata: metadata("{\"x\":1,\"z\":[18446744073709551615]}"))
    #expect(collection.snapshot.point("a") == expected)
    // The index has not changed, and the earlier snapshot still has the earlier metadata.
    #expect(collection.snapshot.vectors.version == before.vectors.version)
    #expect(before.point("a")?.metadata == metadata("{\"x\":1,\"y\":2}"))
    #expect(try collection.change([MetadataChange(id: "b", metadata: nil)], .replace).version == 3)
    // The change is listed for followers like any other batch.
    let page = try collection.changes(after: 1, limit: 10)
    #expect(page.batches.flatMap(\.upserts).map(\.id).sorted() == ["a", "b"])
  }

  @Test func aPointWhoseVectorStaysIsReplacedInPlace() throws {
    let collection = try collection(.sqlite)
    _ = try collection.upsert([Point(id: "a", vector: [1, 0]), Point(id: "b", vector: [0, 1])])
    let before = collection.snapshot.vectors.version
    _ = try collection.upsert([Point(id: "a", vector: [1, 0], text: "new")])
    #expect(collection.snapshot.vectors.version == before)
    #expect(collection.snapshot.point("a")?.text == "new")
    // 0 and -0 compare equal but are different bits, so this vector is replaced: what was sent must be returned.
    _ = try collection.upsert([Point(id: "a", vector: [1, -0.0]), Point(id: "c", vector: [1, 1])])
    #expect(collection.snapshot.vectors.version > before)
    #expect(collection.snapshot.point("a")?.vector.last?.sign == .minus)
    #expect(collection.snapshot.count == 3)
  }
}
