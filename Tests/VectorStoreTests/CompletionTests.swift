import Dispatch
import StoreSupport
import Synchronization
import TestSupport
import Testing
import VectorIndex
import VectorStore

/// Collections are made and deleted without waiting for the commit.
@Suite struct CompletionTests {
  private typealias Made = (collection: VectorCollection, created: Bool)

  @Test(arguments: RecordsKind.allCases) func makingAndDeletingReturnBeforeTheCommit(_ kind: RecordsKind) throws {
    let records = ProxyRecords(try kind.records())
    let store = try CollectionStore(records: records)
    let (made, deleted) = (AnswerSlot<Made>(), AnswerSlot<Void>())
    let (isMade, isDeleted) = (Flag(), Flag())
    records.holdingCommits {
      store.create("c", dimension: 2) { result in
        isMade.raise()
        made.put(result)
      }
      #expect(!isMade.isRaised && store.all.isEmpty)
    }
    #expect(try made.wait().created)
    #expect(store.all.map(\.name) == ["c"])
    records.holdingCommits {
      store.delete("c") { result in
        isDeleted.raise()
        deleted.put(result)
      }
      #expect(!isDeleted.isRaised && store.all.map(\.name) == ["c"])
    }
    try deleted.wait()
    #expect(store.all.isEmpty)
    store.close()
  }

  @Test(arguments: RecordsKind.allCases) func callersOfOneNameShareTheCollection(_ kind: RecordsKind) throws {
    let records = ProxyRecords(try kind.records())
    let store = try CollectionStore(records: records)
    let answers = (0..<5).map { _ in AnswerSlot<Made>() }
    let other = AnswerSlot<Made>()
    records.holdingCommits {
      for answer in answers { store.create("c", dimension: 2) { answer.put($0) } }
      store.create("c", dimension: 3) { other.put($0) }
    }
    let made = try answers.map { try $0.wait() }
    #expect(made.map(\.created) == [true, false, false, false, false])
    #expect(made.allSatisfy { $0.collection === made[0].collection })
    #expect(throws: StoreError.conflict("collection 'c' exists with dimension 2 and metric cosine")) {
      try other.wait()
    }
    store.close()
  }

  @Test(arguments: RecordsKind.allCases) func aSettingOfACollectionThatIsBeingDeletedMakesItAnew(_ kind: RecordsKind)
    throws
  {
    let records = ProxyRecords(try kind.records())
    let store = try CollectionStore(records: records)
    let first = try store.create("c", dimension: 2).collection
    let deleted = [AnswerSlot<Void>(), AnswerSlot<Void>()]
    let made = AnswerSlot<Made>()
    let target = try #require(RecallTarget(0.8))
    records.holdingCommits {
      for answer in deleted { store.delete("c") { answer.put($0) } }
      store.create("c", dimension: 2, recallTarget: .set(target)) { made.put($0) }
    }
    try deleted[0].wait()
    #expect(throws: StoreError.unknownCollection("c")) { try deleted[1].wait() }
    let (second, created) = try made.wait()
    #expect(created && second !== first && second.snapshot.recallTarget == 0.8)
    #expect(store.all.map(\.name) == ["c"])
    store.close()
  }

  @Test(arguments: RecordsKind.allCases) func failuresReachTheCompletion(_ kind: RecordsKind) throws {
    let store = try kind.store()
    let collection = try store.create("c", dimension: 2).collection
    #expect(throws: StoreError.unknownCollection("d")) { try store.delete("d") }
    store.close()
    let closed = StoreError.unavailable("the store is closed")
    #expect(throws: closed) { try store.create("d", dimension: 2) }
    #expect(throws: closed) { try store.delete("c") }
    #expect(throws: closed) { try collection.upsert([Point(id: "a", vector: [1, 2])]) }
    #expect(throws: closed) { try collection.change(.set(#require(RecallTarget(0.8)))) }
    #expect(store.all.map(\.name) == ["c"])
  }

  @Test func recordsThatCannotBeWritten() throws {
    let disk = MemoryRecords.Disk()
    let writing = try CollectionStore(records: MemoryRecords(on: disk))
    _ = try writing.create("c", dimension: 2).collection.upsert([Point(id: "a", vector: [1, 2])])
    writing.close()
    let store = try CollectionStore(records: MemoryRecords(on: disk, readOnly: true))
    #expect(store.isReadOnly && store.all.map(\.snapshot.count) == [1])
    #expect(throws: StoreError.readOnly) { try store.create("d", dimension: 2) }
    #expect(throws: StoreError.readOnly) { try store.delete("c") }
    #expect(throws: StoreError.readOnly) { try store.collection("c").delete(["a"]) }
    #expect(try !store.create("c", dimension: 2).created)
  }
}

private final class Flag: Sendable {
  private let value = Atomic(false)
  var isRaised: Bool { value.load(ordering: .acquiring) }
  func raise() { value.store(true, ordering: .releasing) }
}
