import CSQLite
import Foundation
import SQLiteRecords
import StoreSupport
import TestSupport
import Testing
import VectorIndex
import VectorStore

/// Dropped collections, whose rows are deleted a few at a time.
@Suite struct DropTests {
  private static let points = 3000
  /// The table also holds the commit number, in a row that belongs to no collection.
  private static let deletions = "tombstones WHERE collection > 0"

  @Test func theNameIsFreeAtOnceAndTheRowsGoLater() throws {
    let folder = try TemporaryFolder()
    let store = try filled(folder)
    let dropped = try store.collection("a")
    try store.delete("a")
    #expect(store.all.map(\.name) == ["b"])
    #expect(throws: StoreError.self) { try dropped.upsert([Point(id: "late", vector: [1, 2, 3, 4])]) }
    // Writes are committed between the pieces of the sweep.
    let (made, isNew) = try store.create("a", dimension: 2)
    #expect(isNew)
    for number in 1...20 {
      #expect(try made.upsert([Point(id: "p\(number)", vector: [1, 2])]) == number)
    }
    #expect(try rows(folder, "points") > 20 + 1)
    #expect(try waitForRows(folder, 20 + 1))
    store.close()
    let reopened = try open(folder)
    #expect(try reopened.collection("a").snapshot.count == 20)
    #expect(try reopened.collection("b").snapshot.count == 1)
    reopened.close()
    #expect(try rows(folder, "collections") == 2)
    #expect(try rows(folder, Self.deletions) == 0)
  }

  @Test func aStartGoesOnWithWhatWasLeft() throws {
    let folder = try TemporaryFolder()
    var store = try filled(folder)
    try store.delete("a")
    store.close()
    let left = try rows(folder, "points")
    #expect(left > 1)
    // Neither a check nor a read-only store sweeps anything.
    for readOnly in [true, false] {
      var found: [String] = []
      try FolderCheck.run(data: folder.path, index: IndexOptions(), readOnly: readOnly) { finding in
        found.append(finding.name)
        #expect(finding.problem == nil)
      }
      #expect(found == ["b"])
    }
    store = try CollectionStore(data: .folder(folder.path), vfs: nil, readOnly: true)
    #expect(store.all.map(\.name) == ["b"])
    store.close()
    #expect(try rows(folder, "points") == left)
    store = try open(folder)
    #expect(store.all.map(\.name) == ["b"])
    #expect(try waitForRows(folder, 1))
    store.close()
    #expect(try rows(folder, "collections") == 1)
  }

  /// Opens copies of what a kill would leave behind at several moments of the sweep.
  @Test func aKillBetweenThePiecesLeavesTheRest() throws {
    let folder = try TemporaryFolder()
    let (store, records) = try filledRecords(folder)
    try store.delete("a")
    for _ in 0..<5 {
      usleep(20_000)
      let copy = try TemporaryFolder()
      records.whileIdle {
        for name in ["nearfar.sqlite", "nearfar.sqlite-wal", "lock"] {
          try? FileManager.default.copyItem(atPath: "\(folder.path)/\(name)", toPath: "\(copy.path)/\(name)")
        }
      }
      let killed = try open(copy)
      #expect(killed.all.map(\.name) == ["b"])
      #expect(try killed.collection("b").snapshot.all == [Point(id: "kept", vector: [1, 2, 3, 4])])
      killed.close()
    }
    store.close()
  }

  /// When the log is lost, rows whose deletion was only in the log are back and are swept again.
  @Test func aLostSweepIsNoLostCommit() throws {
    let folder = try TemporaryFolder()
    var store = try filled(folder)
    try store.delete("a")
    store.close()
    let records = try records(folder)
    store = try CollectionStore(records: records)
    usleep(50_000)
    for isCut in [true, false] {
      let copy = try TemporaryFolder()
      var files: [String: Data] = [:]
      records.whileIdle { files = (try? folder.contents()) ?? [:] }
      for (name, bytes) in files {
        let kept = name.hasSuffix("-wal") ? isCut ? bytes.dropLast(24 + 8192) : Data() : bytes
        try kept.write(to: URL(fileURLWithPath: "\(copy.path)/\(name)"))
      }
      #expect(try copy.contents()["mark"] != nil)
      let killed = try open(copy)
      #expect(killed.all.map(\.name) == ["b"])
      #expect(try waitForRows(copy, 1))
      killed.close()
    }
    store.close()
  }

  private var bounds: RecordBounds {
    var bounds = RecordBounds()
    bounds.sweptRows = 10
    return bounds
  }

  private func records(_ folder: TemporaryFolder, vfs: String? = nil) throws -> SQLiteRecords {
    try SQLiteRecords.open(.folder(folder.path), vfs: vfs, bounds: bounds)
  }

  fileprivate func open(_ folder: TemporaryFolder) throws -> CollectionStore {
    try CollectionStore(records: records(folder))
  }

  fileprivate func filled(_ folder: TemporaryFolder, vfs: String? = nil) throws -> CollectionStore {
    try filledRecords(folder, vfs: vfs).store
  }

  private func filledRecords(
    _ folder: TemporaryFolder, vfs: String? = nil
  ) throws -> (store: CollectionStore, records: SQLiteRecords) {
    let records = try records(folder, vfs: vfs)
    let store = try CollectionStore(records: records)
    let collection = try store.create("a", dimension: 4).collection
    var random = Seeded(4)
    _ = try collection.upsert((0..<Self.points).map { random.point("p\($0)") })
    _ = try collection.delete((0..<500).map { "p\($0)" })
    _ = try store.create("b", dimension: 4).collection.upsert([Point(id: "kept", vector: [1, 2, 3, 4])])
    return (store, records)
  }

  fileprivate func waitForRows(_ folder: TemporaryFolder, _ count: Int) throws -> Bool {
    for _ in 0..<1000 {
      if try rows(folder, "points") == count, try rows(folder, Self.deletions) == 0 { return true }
      usleep(20_000)
    }
    return false
  }

  /// The number of rows that another process would count.
  fileprivate func rows(_ folder: TemporaryFolder, _ table: String) throws -> Int {
    var opened: OpaquePointer?
    var statement: OpaquePointer?
    defer {
      sqlite3_finalize(statement)
      sqlite3_close_v2(opened)
    }
    try #require(sqlite3_open_v2(folder.database, &opened, SQLITE_OPEN_READWRITE, nil) == SQLITE_OK)
    sqlite3_busy_timeout(opened, 10_000)
    try #require(sqlite3_prepare_v2(opened, "SELECT count(*) FROM \(table)", -1, &statement, nil) == SQLITE_OK)
    try #require(sqlite3_step(statement) == SQLITE_ROW)
    return Int(sqlite3_column_int64(statement, 0))
  }
}

/// These use the failing file system, so they run one at a time with the other tests that do.
extension FaultTests {
  @Test func aSweepThatFailsGoesOnWithTheNextWrite() throws {
    let drops = DropTests()
    let folder = try TemporaryFolder()
    let store = try drops.filled(folder, vfs: "nearfar-faults")
    try store.delete("a")
    nf_faults_arm(1, SQLITE_FULL, 1)
    usleep(100_000)
    nf_faults_arm(0, 0, 0)
    let left = try drops.rows(folder, "points")
    #expect(left > 1)
    usleep(100_000)
    #expect(try drops.rows(folder, "points") == left)
    #expect(try store.collection("b").upsert([Point(id: "new", vector: [1, 2, 3, 4])]) == 2)
    #expect(try drops.waitForRows(folder, 2))
    store.close()
  }
}
