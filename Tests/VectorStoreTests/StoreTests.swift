import Foundation
import SimilarityCore
import StoreSupport
import Synchronization
import TestSupport
import Testing
import VectorIndex
import VectorStore

/// Properties of every implementation of the records, also after they are closed and opened again.
@Suite struct StoreTests {
  @Test(arguments: RecordsKind.allCases) func reopenedGivesTheSameAnswers(_ kind: RecordsKind) throws {
    let place = try RecordsPlace(kind)
    var random = Seeded(1)
    let queries = random.matrix(5, 4)
    var before: [[String]] = []
    var scores: [[Double]] = []
    var model = Model()
    do {
      let store = try place.open()
      let collection = try store.create("c", dimension: 4, metric: .euclidean).collection
      for round in 0..<20 {
        let batch = (0..<50).map { random.point("p\(round * 30 + $0)") }
        #expect(try collection.upsert(batch, model: round == 7 ? "m1" : nil) == model.version + 1)
        model.upsert(batch)
        let gone = (0..<10).map { "p\(round * 20 + $0)" }
        #expect(try collection.delete(gone).version == model.version + 1)
        model.delete(gone)
      }
      #expect(model.matches(collection.snapshot))
      let found = try collection.snapshot.nearest(to: queries, NeighborSearch(k: 7)).neighbors
      before = found.map { $0.map(\.id) }
      scores = found.map { $0.map(\.score) }
      store.close()
    }
    let store = try place.open()
    let collection = try store.collection("c")
    #expect(collection.metric == .euclidean)
    #expect(collection.snapshot.model == "m1")
    #expect(model.matches(collection.snapshot))
    #expect(collection.snapshot.point("p3") == nil)
    let found = try collection.snapshot.nearest(to: queries, NeighborSearch(k: 7)).neighbors
    #expect(found.map { $0.map(\.id) } == before)
    #expect(found.map { $0.map(\.score) } == scores)
    // Versions continue from the last one.
    #expect(try collection.upsert([random.point("new")]) == model.version + 1)
    store.close()
  }

  @Test(arguments: RecordsKind.allCases) func deletedCollectionsStayDeleted(_ kind: RecordsKind) throws {
    let place = try RecordsPlace(kind)
    do {
      let store = try place.open()
      _ = try store.create("a", dimension: 2).collection.upsert([Point(id: "x", vector: [1, 2])])
      let b = try store.create("b", dimension: 2).collection
      _ = try b.upsert([Point(id: "y", vector: [1, 2])])
      try store.delete("b")
      #expect(throws: StoreError.self) { try b.upsert([Point(id: "z", vector: [1, 2])]) }
      #expect(try store.create("b", dimension: 3, metric: .dot).created)
      store.close()
    }
    let store = try place.open()
    #expect(store.all.map(\.name) == ["a", "b"])
    #expect(try store.collection("b").snapshot.count == 0)
    #expect(try store.collection("b").dimension == 3)
    #expect(try store.collection("a").snapshot.all == [Point(id: "x", vector: [1, 2])])
    store.close()
  }

  @Test(arguments: RecordsKind.allCases) func versionsAreDenseUnderEightWriters(_ kind: RecordsKind) throws {
    let place = try RecordsPlace(kind)
    let store = try place.open()
    let collection = try store.create("c", dimension: 2).collection
    let versions = Mutex<[Int]>([])
    DispatchQueue.concurrentPerform(iterations: 8) { writer in
      for batch in 0..<25 {
        let points = (0..<3).map { Point(id: "w\(writer).\(batch % 5).\($0)", vector: [Float(batch + 1), 1]) }
        if let version = try? collection.upsert(points) { versions.withLock { $0.append(version) } }
      }
    }
    #expect(versions.withLock { $0.sorted() } == Array(1...200))
    #expect(collection.snapshot.version == 200)
    #expect(collection.snapshot.count == 8 * 5 * 3)
    for writer in 0..<8 { #expect(collection.snapshot.point("w\(writer).4.2")?.vector == [25, 1]) }
    store.close()
  }

  @Test(arguments: RecordsKind.allCases) func whatWaitsIsCommittedTogetherAndFailsAlone(_ kind: RecordsKind) throws {
    let place = try RecordsPlace(kind)
    let store = try place.open()
    let collection = try store.create("c", dimension: 2).collection
    let commits = store.commits
    let answers = Mutex<[Int: Result<Int, StoreError>]>([:])
    let group = DispatchGroup()
    store.holdingWrites {
      for number in 0..<9 {
        group.enter()
        // The fifth batch was embedded by another model than the fourth.
        let model = number == 3 ? "m1" : number == 4 ? "m2" : nil
        collection.upsert([Point(id: "p\(number)", vector: [1, Float(number)])], model: model) { result in
          answers.withLock { $0[number] = result }
          group.leave()
        }
      }
    }
    group.wait()
    #expect(store.commits == commits + 1)
    let failed = Result<Int, StoreError>.failure(
      .conflict("the collection's texts were embedded by another model, m1"))
    #expect(
      answers.withLock { answers in (0..<9).map { answers[$0] } }
        == [.success(1), .success(2), .success(3), .success(4), failed] + (5...8).map { .success($0) })
    #expect(collection.snapshot.version == 8)
    #expect(collection.snapshot.all.map(\.id) == ["p0", "p1", "p2", "p3", "p5", "p6", "p7", "p8"])
    #expect(collection.snapshot.model == "m1")
    store.close()
  }

  @Test(arguments: RecordsKind.allCases, [1, 7, 1000])
  func changesReplayToTheSame(_ kind: RecordsKind, limit: Int) throws {
    let store = try kind.store()
    let collection = try store.create("c", dimension: 4).collection
    let copy = try store.create("copy", dimension: 4).collection
    var random = Seeded(5)
    var model = Model()
    var version = 0
    for _ in 0..<6 {
      for _ in 0..<10 {
        let batch = Dictionary((0..<4).map { _ in random.point("p\(random.next() % 40)") }.map { ($0.id, $0) }) {
          a, _ in a
        }
        .values.sorted { $0.id < $1.id }
        _ = try collection.upsert(batch)
        model.upsert(batch)
        let gone = (0..<2).map { _ in "p\(random.next() % 40)" }
        _ = try collection.delete(gone)
        model.delete(gone)
      }
      #expect(model.matches(collection.snapshot))
      while true {
        let page = try collection.changes(after: version, limit: limit)
        #expect(page.batches.map(\.version) == page.batches.map(\.version).sorted())
        #expect(page.batches.allSatisfy { $0.version > version })
        for batch in page.batches {
          if !batch.upserts.isEmpty { _ = try copy.upsert(batch.upserts) }
          if !batch.deletes.isEmpty { _ = try copy.delete(batch.deletes) }
        }
        version = page.through
        if page.isComplete { break }
      }
      #expect(version == collection.snapshot.version)
      #expect(copy.snapshot.all == model.sorted)
    }
    #expect(try collection.changes(after: version, limit: 1).batches == [])
    store.close()
  }

  @Test(arguments: RecordsKind.allCases) func idsAreComparedByTheirBytes(_ kind: RecordsKind) throws {
    let store = try kind.store()
    let collection = try store.create("c", dimension: 1).collection
    // The two forms are canonically equivalent, but they are different ids.
    let ids = ["\u{E9}", "e\u{301}"]
    #expect(try collection.upsert(ids.map { Point(id: $0, vector: [1]) }) == 1)
    #expect(collection.snapshot.count == 2)
    #expect(try collection.delete([ids[0]]).deleted == 1)
    #expect(collection.snapshot.all.map { Array($0.id.utf8) } == [Array(ids[1].utf8)])
    store.close()
  }
}
