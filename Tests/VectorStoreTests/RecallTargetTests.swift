import Dispatch
import StoreSupport
import TestSupport
import Testing
import VectorIndex
import VectorStore

/// The recall target of searches that state none, with either implementation of the records.
@Suite struct RecallTargetTests {
  @Test func itIsOneOfThese() {
    #expect([0.5, 0.97, 1].map { RecallTarget($0)?.value } == [0.5, 0.97, 1])
    #expect([0.49, 1.01, -1, .nan, .infinity].allSatisfy { RecallTarget($0) == nil })
  }

  @Test(arguments: RecordsKind.allCases) func aSettingThatIsKept(_ kind: RecordsKind) throws {
    let place = try RecordsPlace(kind)
    var store = try place.open()
    let (collection, created) = try store.create("c", dimension: 2, recallTarget: set(0.9))
    #expect(created && collection.snapshot.recallTarget == 0.9)
    #expect(try store.create("plain", dimension: 2).collection.snapshot.recallTarget == 0.97)
    // Points can be stored in a collection with its own target.
    #expect(try collection.upsert([Point(id: "a", vector: [1, 2])]) == 1)
    store.close()
    store = try place.open()
    #expect(try targets(store) == ["c": 0.9, "plain": 0.97])
    let before = try store.collection("c").snapshot
    // A call without a target changes nothing; a call with one changes it at once.
    #expect(try !store.create("c", dimension: 2).created)
    #expect(try targets(store) == ["c": 0.9, "plain": 0.97])
    let (again, isNew) = try store.create("c", dimension: 2, recallTarget: set(0.75))
    #expect(!isNew && again.snapshot.recallTarget == 0.75 && again.snapshot.version == 1)
    #expect(before.recallTarget == 0.9)
    _ = try store.create("plain", dimension: 2, recallTarget: set(1))
    #expect(try again.upsert([Point(id: "b", vector: [1, 2])]) == 2)
    store.close()
    store = try place.open()
    #expect(try targets(store) == ["c": 0.75, "plain": 1])
    #expect(try store.collection("c").snapshot.all.map(\.id) == ["a", "b"])
    // Another dimension is a conflict, and the target is not changed.
    #expect(throws: StoreError.self) { try store.create("c", dimension: 3, recallTarget: set(0.5)) }
    for _ in 0..<2 { #expect(try !store.create("c", dimension: 2, recallTarget: .reset).created) }
    #expect(try targets(store) == ["c": 0.97, "plain": 1])
    store.close()
    store = try place.open()
    #expect(try targets(store) == ["c": 0.97, "plain": 1])
    store.close()
  }

  @Test(arguments: RecordsKind.allCases) func changesAreSeenAtOnce(_ kind: RecordsKind) throws {
    let store = try kind.store()
    let collection = try store.create("c", dimension: 2, recallTarget: set(0.6)).collection
    #expect(collection.snapshot.recallTarget == 0.6)
    try collection.change(set(0.8))
    _ = try collection.upsert([Point(id: "a", vector: [1, 2])])
    #expect(try store.collection("c").snapshot.recallTarget == 0.8)
    try collection.change(.keep)
    #expect(collection.snapshot.recallTarget == 0.8)
    try collection.change(.reset)
    #expect(collection.snapshot.recallTarget == 0.97)
  }

  @Test(arguments: RecordsKind.allCases) func changesAmongOtherWrites(_ kind: RecordsKind) throws {
    let place = try RecordsPlace(kind)
    let store = try place.open()
    let collection = try store.create("c", dimension: 2).collection
    DispatchQueue.concurrentPerform(iterations: 40) { number in
      do {
        if number % 2 == 0 {
          _ = try collection.upsert([Point(id: "p\(number)", vector: [1, 2])])
        } else {
          try collection.change(RecallTarget(0.5 + Double(number) / 100).map { .set($0) } ?? .keep)
        }
      } catch {
        Issue.record(error)
      }
    }
    let last = collection.snapshot
    #expect(last.version == 20 && last.count == 20 && last.recallTarget < 0.9)
    store.close()
    let reopened = try place.open()
    #expect(try targets(reopened) == ["c": last.recallTarget])
    #expect(try reopened.collection("c").snapshot.all == last.all)
    reopened.close()
  }

  private func set(_ value: Double) -> RecallTargetChange { RecallTarget(value).map { .set($0) } ?? .keep }

  private func targets(_ store: CollectionStore) throws -> [String: Double] {
    Dictionary(uniqueKeysWithValues: store.all.map { ($0.name, $0.snapshot.recallTarget) })
  }
}
