import CSQLite
import Foundation
import SQLiteRecords
import StoreSupport
import TestSupport
import Testing
import VectorIndex
import VectorStore

/// The recall targets of collections, as the data folder keeps them.
@Suite struct StoredRecallTargetTests {
  @Test func searchesThatAskForNothingHaveIt() throws {
    let folder = try TemporaryFolder()
    var options = IndexOptions()
    options.graphThreshold = 1000
    var store = try CollectionStore(data: .folder(folder.path), index: options, vfs: nil)
    let collection = try store.create("c", dimension: 16, metric: .euclidean, recallTarget: set(0.5)).collection
    var random = Seeded(8)
    _ = try collection.upsert((0..<3000).map { random.point("p\($0)", dimension: 16) })
    let queries = random.matrix(40, 16)
    let low = collection.snapshot
    #expect(try #require(low.graph).target == 0.5)
    try collection.change(set(1))
    let exact = try collection.snapshot.nearest(to: queries, NeighborSearch(k: 10))
    #expect(exact.ef == nil && exact.expectedRecall == 1)
    #expect(try #require(collection.snapshot.graph).target == 1)
    // The target of a search takes precedence over the collection's, and an earlier snapshot keeps its own target.
    var asking = NeighborSearch(k: 10)
    asking.recallTarget = 0.5
    let asked = try collection.snapshot.nearest(to: queries, asking)
    let before = try low.nearest(to: queries, NeighborSearch(k: 10))
    #expect(asked.ef == before.ef && asked.expectedRecall == before.expectedRecall)
    #expect(low.recallTarget == 0.5)
    // Points that are stored later do not bring the default back.
    _ = try collection.upsert([random.point("late", dimension: 16)])
    #expect(try #require(collection.snapshot.graph).target == 1)
    store.close()
    store = try CollectionStore(data: .folder(folder.path), index: options, vfs: nil)
    #expect(try #require(store.collection("c").snapshot.graph).target == 1)
    store.close()
  }

  @Test func aTargetThatIsResetLeavesNoRow() throws {
    let folder = try TemporaryFolder()
    let store = try folder.open()
    let collection = try store.create("c", dimension: 2, recallTarget: set(0.9)).collection
    _ = try store.create("plain", dimension: 2, recallTarget: set(1))
    try collection.change(.reset)
    store.close()
    #expect(try folder.count("recall_targets") == 1)
  }

  @Test func aDroppedCollectionTakesItAlong() throws {
    let folder = try TemporaryFolder()
    var store = try folder.open()
    let dropped = try store.create("c", dimension: 2, recallTarget: set(0.8)).collection
    try store.delete("c")
    #expect(throws: StoreError.self) { try dropped.change(set(0.6)) }
    #expect(try store.create("c", dimension: 2).collection.snapshot.recallTarget == 0.97)
    store.close()
    #expect(try folder.count("recall_targets") == 0)
    store = try folder.open()
    #expect(try targets(store) == ["c": 0.97])
    store.close()
  }

  @Test(arguments: [1, 2])
  func anOlderFormatHasNone(_ format: Int) throws {
    let folder = try TemporaryFolder()
    var store = try folder.open()
    _ = try store.create("c", dimension: 2).collection.upsert([Point(id: "a", vector: [1, 2])])
    store.close()
    try folder.make(format: format)
    let before = try folder.contents()
    store = try CollectionStore(data: .folder(folder.path), vfs: nil, readOnly: true)
    #expect(try targets(store) == ["c": 0.97])
    store.close()
    let copy = try TemporaryFolder()
    try RecordsBackup.run(data: folder.path, output: copy.database)
    #expect(try folder.contents() == before)
    for each in [folder, copy] {
      store = try each.open()
      _ = try store.create("c", dimension: 2, recallTarget: set(0.6))
      store.close()
      store = try each.open()
      #expect(try targets(store) == ["c": 0.6])
      #expect(try store.collection("c").snapshot.all == [Point(id: "a", vector: [1, 2])])
      store.close()
    }
  }

  @Test func aFolderThatCannotBeWritten() throws {
    let folder = try filled()
    let before = try folder.contents()
    let store = try CollectionStore(data: .folder(folder.path), vfs: nil, readOnly: true)
    #expect(try targets(store) == ["c": 0.8, "d": 0.97])
    for change in [set(0.9), .reset] {
      #expect(throws: StoreError.readOnly) { try store.create("c", dimension: 2, recallTarget: change) }
    }
    #expect(throws: StoreError.readOnly) { try store.create("d", dimension: 2, recallTarget: set(0.9)) }
    // Setting the target that the collection has already needs no write.
    for change in [set(0.8), .keep] {
      #expect(try !store.create("c", dimension: 2, recallTarget: change).created)
    }
    #expect(try !store.create("d", dimension: 2, recallTarget: .reset).created)
    #expect(try targets(store) == ["c": 0.8, "d": 0.97])
    store.close()
    #expect(try folder.contents() == before)
  }

  /// A kill after the answer does not lose the target, and a backup contains it.
  @Test func itIsThereOnceItWasAnswered() throws {
    let folder = try filled()
    let store = try folder.open()
    try store.collection("d").change(set(0.7))
    try store.collection("c").change(.reset)
    let killed = try folder.copy()
    let copy = try TemporaryFolder()
    try RecordsBackup.run(data: folder.path, output: copy.database)
    store.close()
    for each in [killed, copy, folder] {
      let found = try each.open()
      #expect(try targets(found) == ["c": 0.97, "d": 0.7])
      found.close()
    }
  }

  @Test(arguments: [
    ("UPDATE recall_targets SET target = 0.9", "the recall target of collection 1 is not as it was written"),
    ("UPDATE recall_targets SET target = 0.3", "the recall target of collection 1 is not as it was written"),
    ("UPDATE recall_targets SET target = 9e999", "the recall target of collection 1 is not as it was written"),
    ("UPDATE recall_targets SET checksum = checksum + 1", "the recall target of collection 1 is not as it was written"),
    ("UPDATE recall_targets SET collection = 2", "the recall target of collection 2 is not as it was written"),
    ("DELETE FROM recall_targets", "collection 'c' is not as it was written"),
    ("DELETE FROM collections", "there is a recall target of collection 1, which is missing"),
    ("DROP TABLE recall_targets", "'recall_targets' is not as it was made"),
    ("PRAGMA user_version = 2", "'recall_targets' is not as it was made"),
  ])
  func damageIsRefused(_ sql: String, _ reason: String) throws {
    let folder = try filled()
    try folder.run(sql)
    let before = try folder.contents()
    let error = OpenError("\(folder.database) cannot be used: it is damaged: \(reason)", cause: .damaged)
    #expect(throws: error) { try folder.open() }
    #expect(throws: error) { try CollectionStore(data: .folder(folder.path), vfs: nil, readOnly: true) }
    #expect(throws: error) { try FolderCheck.run(data: folder.path) { _ in } }
    #expect(try folder.contents() == before)
  }

  /// An older row with a right checksum is not accepted as the current one.
  @Test func anOldRowIsRefused() throws {
    let folder = try filled()
    try folder.run("CREATE TABLE kept AS SELECT * FROM recall_targets")
    let store = try folder.open()
    try store.collection("c").change(set(0.6))
    store.close()
    try folder.run("DELETE FROM recall_targets; INSERT INTO recall_targets SELECT * FROM kept")
    let text = "\(folder.database) cannot be used: it is damaged: collection 'c' is not as it was written"
    #expect(throws: OpenError(text, cause: .damaged)) { try folder.open() }
  }

  /// `c` with a target of its own and `d` without one, in a closed folder.
  private func filled() throws -> TemporaryFolder {
    let folder = try TemporaryFolder()
    let store = try folder.open()
    _ = try store.create("c", dimension: 2, recallTarget: set(0.8))
    _ = try store.create("d", dimension: 2)
    store.close()
    return folder
  }

  fileprivate func set(_ value: Double) -> RecallTargetChange { RecallTarget(value).map { .set($0) } ?? .keep }

  private func targets(_ store: CollectionStore) throws -> [String: Double] {
    Dictionary(uniqueKeysWithValues: store.all.map { ($0.name, $0.snapshot.recallTarget) })
  }
}

/// These use the failing file system, so they run one at a time with the other tests that do.
extension FaultTests {
  @Test func aRecallTargetThatCannotBeStoredIsNotTaken() throws {
    let folder = try TemporaryFolder()
    let store = try folder.open(vfs: "nearfar-faults")
    let set = StoredRecallTargetTests().set
    let collection = try store.create("c", dimension: 2, recallTarget: set(0.8)).collection
    nf_faults_arm(1, SQLITE_FULL, 1)
    #expect(throws: StoreError.full) { try collection.change(set(0.9)) }
    #expect(throws: StoreError.full) { try collection.change(.reset) }
    nf_faults_arm(0, 0, 0)
    #expect(collection.snapshot.recallTarget == 0.8)
    try collection.change(set(0.7))
    store.close()
    let reopened = try folder.open()
    #expect(try reopened.collection("c").snapshot.recallTarget == 0.7)
    reopened.close()
  }

  /// Wherever the upgrade fails, it has happened completely or not at all.
  @Test func anUpgradeThatFailsIsTriedAgain() throws {
    let original = try TemporaryFolder()
    var store = try original.open()
    _ = try store.create("c", dimension: 2).collection.upsert([Point(id: "a", vector: [1, 2])])
    store.close()
    try original.make(format: 2)
    var failing = 1
    var failures = 0
    while true {
      let folder = try original.copy()
      nf_faults_arm(failing, SQLITE_FULL, 1)
      let opened = try? folder.open(vfs: "nearfar-faults")
      opened?.close()
      let seen = nf_faults_seen()
      nf_faults_arm(0, 0, 0)
      if opened == nil { failures += 1 }
      store = try folder.open()
      let collection = try store.create("c", dimension: 2, recallTarget: StoredRecallTargetTests().set(0.9)).collection
      #expect(collection.snapshot.all == [Point(id: "a", vector: [1, 2])] && collection.snapshot.recallTarget == 0.9)
      store.close()
      if seen < failing { break }
      failing += 1
    }
    #expect(failures >= 1)
  }
}
