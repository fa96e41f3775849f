import Foundation
import SQLiteRecords
import StoreSupport
import TestSupport
import Testing
import VectorStore

/// Collections that remember forty deletions, or as many deletions as they have points where that is more.
@Suite struct TombstoneTests {
  @Test func theOldestDeletionsAreForgotten() throws {
    let folder = try TemporaryFolder()
    var store = try open(folder)
    var collection = try store.create("c", dimension: 4).collection
    var random = Seeded(1)
    var model = Model()
    for round in 0..<30 {
      let batch = (0..<10).map { random.point("\(round).\($0)") }
      #expect(try collection.upsert(batch) == model.version + 1)
      model.upsert(batch)
      let gone = (0..<8).map { "\(round).\($0)" }
      #expect(try collection.delete(gone).version == model.version + 1)
      model.delete(gone)
    }
    #expect(model.matches(collection.snapshot))
    let oldest = try #require(try self.oldest(collection))
    // There are 60 points, so 60 deletions are remembered; eight share a version.
    #expect(oldest == model.version - 2 * 7 - 2 + 1 || oldest == model.version - 2 * 7)
    #expect(try deletions(collection, after: oldest).count <= 60)
    #expect(throws: StoreError.tooOld(oldest: oldest)) { try collection.changes(after: oldest - 1, limit: 10) }
    #expect(throws: StoreError.tooOld(oldest: oldest)) { try collection.changes(after: 0, limit: 10) }
    let known = try collection.changes(after: oldest, limit: 1000)
    store.close()
    // The oldest version with changes is kept across a restart, and the checksums over the rows are right.
    store = try open(folder)
    collection = try store.collection("c")
    #expect(model.matches(collection.snapshot))
    #expect(throws: StoreError.tooOld(oldest: oldest)) { try collection.changes(after: oldest - 1, limit: 10) }
    #expect(try collection.changes(after: oldest, limit: 1000) == known)
    #expect(try collection.delete(["29.9"]).version == model.version + 1)
    store.close()
  }

  @Test func aFollowerThatIsNotTooFarBehindEndsAlike() throws {
    let store = try CollectionStore(data: .memory, vfs: nil, bounds: bounds)
    let collection = try store.create("c", dimension: 4).collection
    let copy = try store.create("copy", dimension: 4).collection
    var random = Seeded(2)
    var version = 0
    var anew = 0
    for round in 0..<60 {
      _ = try collection.upsert((0..<15).map { random.point("\(round).\($0)") })
      _ = try collection.delete((0..<15).map { "\(round - 2).\($0)" })
      guard round % (round < 30 ? 1 : 9) == 0 else { continue }
      if let oldest = try oldest(collection), version < oldest {
        anew += 1
        let snapshot = collection.snapshot
        _ = try copy.delete(copy.snapshot.all.map(\.id))
        _ = try copy.upsert(snapshot.all)
        version = snapshot.version
      }
      version = try follow(collection, from: version, with: copy)
      #expect(copy.snapshot.all == collection.snapshot.all)
    }
    // It copies after every round at first, and later too rarely, so that it has to start over.
    #expect(anew == 3)
    store.close()
  }

  @Test func manyAtOnceAreForgottenInSteps() throws {
    let folder = try TemporaryFolder()
    let store = try open(folder)
    let collection = try store.create("c", dimension: 1).collection
    // These are more deletions than a single transaction forgets in addition to its own work.
    _ = try collection.upsert((0..<4000).map { Point(id: "p\($0)", vector: [1]) })
    for start in stride(from: 0, to: 3000, by: 500) {
      _ = try collection.delete((start..<start + 500).map { "p\($0)" })
    }
    #expect(try oldest(collection) != nil)
    for number in 3000..<3010 {
      _ = try collection.delete(["p\(number)"])
    }
    let last = try #require(try oldest(collection))
    #expect(try deletions(collection, after: last).count <= 990)
    store.close()
    let reopened = try open(folder)
    #expect(try reopened.collection("c").snapshot.count == 990)
    reopened.close()
  }

  /// The commit number is kept in the same table under the id `mark`, and must not be confused with a point of that id.
  @Test func aPointThatIsCalledAsTheMarkIs() throws {
    let folder = try TemporaryFolder()
    var last = 0
    for round in 0..<3 {
      let store = try open(folder)
      let collection = try store.create("c", dimension: 1).collection
      _ = try collection.upsert([Point(id: "mark", vector: [1])])
      #expect(try collection.delete(["mark"]).deleted == 1)
      #expect(try deletions(collection, after: collection.snapshot.version - 1) == ["mark"])
      _ = try collection.upsert((0..<60).map { Point(id: "\(round).\($0)", vector: [1]) })
      _ = try collection.delete((0..<60).map { "\(round).\($0)" })
      #expect(try oldest(collection) == collection.snapshot.version)
      store.close()
      let noted = try #require(try folder.contents()["mark"])
      let number = try #require(Int(String(decoding: noted.prefix(20), as: UTF8.self)))
      #expect(number > last)
      last = number
    }
  }

  @Test func theFileDoesNotGrowUnderChurn() throws {
    let folder = try TemporaryFolder()
    var sizes: [Int] = []
    var number = 0
    for _ in 0..<5 {
      let store = try open(folder)
      let collection = try store.create("c", dimension: 4).collection
      for _ in 0..<100 {
        let ids = (0..<20).map { "a fresh id, as long as ids are \(number + $0)" }
        number += 20
        _ = try collection.upsert(ids.map { Point(id: $0, vector: [1, 2, 3, 4]) })
        _ = try collection.delete(ids)
      }
      #expect(collection.snapshot.count == 0)
      store.close()
      sizes.append(try Data(contentsOf: URL(fileURLWithPath: folder.database)).count)
    }
    // Only 40 deletions are remembered; 10,000 would take a megabyte.
    #expect(sizes[4] <= sizes[0] + 16_384, "\(sizes)")
    #expect(sizes[4] < 300_000, "\(sizes)")
  }

  private var bounds: RecordBounds {
    var bounds = RecordBounds()
    bounds.tombstones = 40
    return bounds
  }

  private func open(_ folder: TemporaryFolder) throws -> CollectionStore {
    try CollectionStore(data: .folder(folder.path), vfs: nil, bounds: bounds)
  }

  /// The version from which on changes are available; nil when all are.
  private func oldest(_ collection: VectorCollection) throws -> Int? {
    do {
      _ = try collection.changes(after: 0, limit: 1)
      return nil
    } catch StoreError.tooOld(let oldest) {
      return oldest
    }
  }

  /// - Returns: the version that `copy` then has.
  private func follow(
    _ collection: VectorCollection, from version: Int, with copy: VectorCollection
  ) throws -> Int {
    var version = version
    while true {
      let page = try collection.changes(after: version, limit: 7)
      for batch in page.batches {
        if !batch.upserts.isEmpty { _ = try copy.upsert(batch.upserts) }
        if !batch.deletes.isEmpty { _ = try copy.delete(batch.deletes) }
      }
      version = page.through
      if page.isComplete { return version }
    }
  }

  private func deletions(_ collection: VectorCollection, after version: Int) throws -> [String] {
    let page = try collection.changes(after: version, limit: 100_000)
    #expect(page.isComplete)
    return page.batches.flatMap(\.deletes)
  }
}
