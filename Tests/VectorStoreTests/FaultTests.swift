import CSQLite
import TestSupport
import Testing
import VectorStore

/// Writes that fail at the n-th write or flush of the file, n = 1, 2, …
@Suite(.serialized) struct FaultTests {
  private static let name = "nearfar-faults"

  init() throws { try #require(nf_faults_register() == SQLITE_OK) }

  /// One failure: that batch is refused, nothing in memory changes, and the next one is stored.
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

  /// From the n-th write on nothing works, as when a machine dies: what was answered is there, the rest whole or absent.
  @Test(arguments: [SQLITE_FULL, SQLITE_IOERR])
  func whatWasAnsweredOutlivesTheDisk(code: Int32) throws {
    for failing in 1...60 {
      let folder = try TemporaryFolder()
      let store = try folder.open(vfs: Self.name)
      let collection = try store.create("c", dimension: 4).collection
      var random = Seeded(UInt64(failing))
      var model = Model()
      // The states that may be found: what was answered, and with the batch that was not.
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
        // Reads go on.
        #expect(model.matches(collection.snapshot))
      }
      store.close()
      nf_faults_arm(0, 0, 0)
      let reopened = try folder.open()
      let found = try reopened.collection("c").snapshot
      #expect(([model] + allowed).contains { $0.matches(found) }, "write \(failing)")
      // And it can be written again, without a gap.
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
}
