import CSQLite
import SQLiteRecords
import StoreSupport
import TestSupport
import Testing
import VectorIndex
import VectorStore

/// Uses a file system whose n-th write, flush or read fails, for n = 1, 2, …
@Suite(.serialized) struct FaultTests {
  private static let name = "nearfar-faults"

  init() throws { try #require(nf_faults_register() == SQLITE_OK) }

  /// When one write fails, its batch is refused, nothing in memory changes, and the next batch is stored.
  @Test(arguments: [SQLITE_FULL, SQLITE_IOERR])
  func writesFailAndGoOn(code: Int32) throws {
    var failures = 0
    var failing = 1
    while true {
      let folder = try TemporaryFolder()
      let store = try folder.open(vfs: Self.name)
      let collection = try store.create("c", dimension: 4).collection
      var random = Seeded(UInt64(failing))
      var model = Model()
      var failed = 0
      nf_faults_arm(failing, code, 0)
      for round in 0..<6 {
        let batch = (0..<40).map { random.point("p\(round * 20 + $0)") }
        do {
          #expect(try collection.upsert(batch) == model.version + 1)
          model.upsert(batch)
        } catch {
          failed += 1
          #expect((error == .full) == (code == SQLITE_FULL), "\(error)")
        }
        #expect(model.matches(collection.snapshot))
      }
      let seen = nf_faults_seen()
      nf_faults_arm(0, 0, 0)
      #expect(failed <= 1)
      failures += failed
      store.close()
      let reopened = try folder.open()
      #expect(model.matches(try reopened.collection("c").snapshot), "write \(failing)")
      reopened.close()
      if seen < failing { break }
      failing += 1
    }
    #expect(failures >= 6)
  }

  /// From the n-th write on everything fails, as when a machine dies. Batches that were answered are stored; any other
  /// is stored completely or not at all.
  @Test(arguments: [SQLITE_FULL, SQLITE_IOERR])
  func whatWasAnsweredOutlivesTheDisk(code: Int32) throws {
    for failing in 1...60 {
      let folder = try TemporaryFolder()
      let store = try folder.open(vfs: Self.name)
      let collection = try store.create("c", dimension: 4).collection
      var random = Seeded(UInt64(failing))
      var model = Model()
      // The states that are allowed: all batches that were answered, with or without one that failed.
      var allowed: [Model] = []
      nf_faults_arm(failing, code, 1)
      for round in 0..<8 {
        var next = model
        do {
          if round % 3 == 2 {
            let gone = (0..<10).map { "p\(round * 3 + $0)" }
            next.delete(gone)
            _ = try collection.delete(gone)
          } else {
            let batch = (0..<20).map { random.point("p\(round * 10 + $0)") }
            next.upsert(batch)
            _ = try collection.upsert(batch)
          }
          model = next
        } catch {
          allowed.append(next)
        }
        // Reads still work.
        #expect(model.matches(collection.snapshot))
      }
      store.close()
      nf_faults_arm(0, 0, 0)
      let reopened = try folder.open()
      let found = try reopened.collection("c").snapshot
      #expect(([model] + allowed).contains { $0.matches(found) }, "write \(failing)")
      // It can be written again, and the versions have no gap.
      #expect(try reopened.collection("c").upsert([random.point("z")]) == found.version + 1)
      reopened.close()
    }
  }

  @Test func aDiskThatIsFullAndThenIsNot() throws {
    let folder = try TemporaryFolder()
    let store = try folder.open(vfs: Self.name)
    let collection = try store.create("c", dimension: 2).collection
    #expect(try collection.upsert([Point(id: "a", vector: [1, 1])]) == 1)
    nf_faults_arm(1, SQLITE_FULL, 1)
    #expect(throws: StoreError.full) { try collection.upsert([Point(id: "b", vector: [1, 1])]) }
    #expect(throws: StoreError.full) { try collection.delete(["a"]) }
    #expect(throws: StoreError.full) { try store.create("d", dimension: 2) }
    #expect(throws: StoreError.full) { try store.delete("c") }
    #expect(collection.snapshot.all == [Point(id: "a", vector: [1, 1])])
    nf_faults_arm(0, 0, 0)
    #expect(try collection.upsert([Point(id: "b", vector: [1, 1])]) == 2)
    #expect(try collection.delete(["a"]) == (3, 1))
    #expect(try store.create("d", dimension: 2).created)
    store.close()
  }

  /// SQLITE_IOERR_NOMEM, which a file system returns when it has no memory for a read.
  private static let outOfMemory = SQLITE_IOERR | 12 << 8

  /// When memory is missing for any read of a sound folder, the check reports that and no damage.
  @Test func missingMemoryIsNotDamage() throws {
    let folder = try TemporaryFolder()
    let filled = try folder.open()
    var random = Seeded(3)
    _ = try filled.create("c", dimension: 24).collection.upsert(
      (0..<300).map { random.point("p\($0)", dimension: 24) })
    _ = try filled.collection("c").delete((0..<50).map { "p\($0)" })
    filled.close()
    let before = try folder.contents()
    defer { nf_faults_arm_reads(0, 0) }
    var failing = 1
    var missed = 0
    while true {
      nf_faults_arm_reads(failing, Self.outOfMemory)
      var problems: [OpenError?] = []
      do throws(OpenError) {
        try FolderCheck.run(data: folder.path, index: IndexOptions(), vfs: Self.name) { problems.append($0.problem) }
      } catch {
        problems.append(error)
      }
      let seen = nf_faults_reads_seen()
      nf_faults_arm_reads(0, 0)
      if seen < failing {
        #expect(problems == [nil])
        break
      }
      // Some reads are optional to SQLite, so that their failure causes no problem.
      for case let problem? in problems {
        #expect(problem.cause == .outOfMemory, "read \(failing): \(problem)")
        #expect(!problem.description.contains("damaged"), "read \(failing): \(problem)")
        missed += 1
      }
      failing += 1
    }
    #expect(missed > 3)
    #expect(try folder.contents() == before)
  }

  /// The cause of an error while a collection is read is reported as well.
  @Test(arguments: [
    (outOfMemory, OpenError.Cause.outOfMemory), (SQLITE_IOERR, .unusable), (SQLITE_CORRUPT, .damaged),
  ])
  func errorsOfReadingKeepTheirKind(code: Int32, cause: OpenError.Cause) throws {
    let folder = try TemporaryFolder()
    let store = try folder.open()
    var random = Seeded(4)
    let collection = try store.create("c", dimension: 384).collection
    // These are more pages than the connection caches.
    for batch in 0..<8 {
      _ = try collection.upsert((0..<500).map { random.point("\(batch).\($0)", dimension: 384) })
    }
    store.close()
    defer { nf_faults_arm_reads(0, 0) }
    let records = try SQLiteRecords.open(.folder(folder.path), vfs: Self.name)
    defer { records.close() }
    let stored = try #require(records.collections().first)
    nf_faults_arm_reads(1, code)
    do throws(OpenError) {
      try records.load(stored) { (_: Point) throws(OpenError) in }
      Issue.record("loaded")
    } catch {
      #expect(error.cause == cause, "\(error)")
      #expect(error.description.contains(folder.database))
    }
    let expected: StoreError? = cause == .outOfMemory ? .outOfMemory : nil
    do throws(StoreError) {
      _ = try records.changes(of: stored.id, after: 0, limit: 5000)
      Issue.record("read")
    } catch {
      switch error {
      case .outOfMemory: #expect(cause == .outOfMemory)
      case .damaged: #expect(cause == .damaged)
      case .unavailable: #expect(cause == .unusable)
      default: Issue.record("\(error)")
      }
      #expect(expected == nil || error == expected)
    }
    nf_faults_arm_reads(0, 0)
    var count = 0
    try records.load(stored) { (_: Point) throws(OpenError) in count += 1 }
    #expect(count == 4000)
  }

  @Test func missingMemoryIsNotAFullDisk() throws {
    let folder = try TemporaryFolder()
    let store = try folder.open(vfs: Self.name)
    let collection = try store.create("c", dimension: 2).collection
    nf_faults_arm(1, Self.outOfMemory, 1)
    #expect(throws: StoreError.outOfMemory) { try collection.upsert([Point(id: "a", vector: [1, 1])]) }
    nf_faults_arm(0, 0, 0)
    #expect(collection.snapshot.count == 0)
    #expect(try collection.upsert([Point(id: "a", vector: [1, 1])]) == 1)
    store.close()
  }
}
