import Foundation
import PostgresRecords
import StoreSupport
import TestSupport
import Testing
import VectorIndex
import VectorStore

/// What replicas do about databases that are unusual, damaged or out of reach, and about changes at unusual moments.
@Suite struct RecoveryTests {
  private let database: TestDatabase

  init() throws { database = try TestDatabase() }

  private func replica() throws -> CollectionStore {
    try CollectionStore(records: try PostgresRecords.open(database.url))
  }

  /// A replica that has a batch of many megabytes goes on from there change by change.
  @Test func whatComesAfterALargeBatchIsFollowed() throws {
    let (a, b) = (try replica(), try replica())
    let made = try a.create("c", dimension: 4096, metric: .dot).collection
    let row = [Float](repeating: 0.5, count: 4096)
    b.follow()
    let other = try b.collection("c")
    // Two of 18 MB each are more than what is read at once.
    for round in 0..<2 { _ = try made.upsert((0..<1100).map { Point(id: "p\(round)-\($0)", vector: row) }) }
    #expect(b.follow() == nil)
    #expect(other.snapshot.version == 2 && other.snapshot.count == 2200)
    _ = try made.delete(["p1-7"])
    let page = try other.changes(after: 2, limit: 10)
    #expect(page.isComplete && page.batches.map(\.deletes) == [["p1-7"]])
    #expect(b.follow() == nil)
    // The same object: it has not been loaded anew.
    #expect(try b.collection("c") === other)
    #expect(other.snapshot.version == 3 && other.snapshot.digest == made.snapshot.digest)
  }

  /// Two replicas make a collection of one name without knowing of each other: both have it.
  @Test func bothMakeACollection() throws {
    let (a, b) = (try replica(), try replica())
    let first = try a.create("c", dimension: 2, metric: .dot)
    let second = try b.create("c", dimension: 2, metric: .dot)
    #expect(first.created && !second.created)
    #expect(first.collection.id == second.collection.id)
    #expect(throws: StoreError.conflict("collection 'c' exists with dimension 2 and metric dot")) {
      _ = try replica().create("c", dimension: 3, metric: .dot)
    }
    _ = try a.create("d", dimension: 2, metric: .dot)
    #expect(throws: StoreError.conflict("collection 'd' exists with dimension 2 and metric dot")) {
      _ = try b.create("d", dimension: 3, metric: .dot)
    }
  }

  /// A key that was used for an earlier collection of the name: nobody is told of a version that the new one does not have.
  @Test func aKeyOfAnEarlierCollection() throws {
    let store = try replica()
    let key = ChangeKey(key: Array(repeating: 7, count: 16), fingerprint: [1])
    func write(_ collection: VectorCollection) throws(StoreError) -> Int {
      let answer = AnswerSlot<Int>()
      collection.upsert([Point(id: "x", vector: [1, 2])], key: key) { answer.put($0) }
      return try answer.wait()
    }
    let earlier = try store.create("c", dimension: 2, metric: .dot).collection
    for _ in 0..<3 { _ = try earlier.upsert([Point(id: "y", vector: [1, 2])]) }
    #expect(try write(earlier) == 4)
    try store.delete("c")
    let later = try store.create("c", dimension: 2, metric: .dot).collection
    _ = try later.upsert([Point(id: "y", vector: [1, 2])])
    #expect(try write(later) == 1)
    #expect(later.snapshot.version == 1)
  }

  /// Whoever asks for the newest state gets an answer in time, whatever holds up the look at the database.
  @Test func aLookThatIsHeldUpIsNotWaitedForForEver() throws {
    let store = try replica()
    let answer = AnswerSlot<Int>()
    store.holdingWrites {
      store.refresh(within: 0.2) { answer.put($0.map { .failure($0) } ?? .success(1)) }
      #expect(throws: StoreError.unavailable("the database has not been asked in time, because other work came first"))
      {
        _ = try answer.wait()
      }
    }
    let later = AnswerSlot<Int>()
    store.refresh(within: 30) { later.put($0.map { .failure($0) } ?? .success(1)) }
    #expect(try later.wait() == 1)
  }

  /// A transaction of a database with another default would see what was there before it waited for a lock.
  @Test(arguments: ["repeatable read", "serializable"]) func otherIsolationByDefault(level: String) async throws {
    try database.run(
      "ALTER DATABASE \(try database.run("SELECT current_database()")) SET default_transaction_isolation = '\(level)'")
    let url = database.url
    let stores = try await withThrowingTaskGroup(of: CollectionStore.self) { group in
      for _ in 0..<3 { group.addTask { try CollectionStore(records: try PostgresRecords.open(url)) } }
      return try await group.reduce(into: []) { $0.append($1) }
    }
    _ = try stores[0].create("c", dimension: 2, metric: .dot)
    for store in stores { #expect(store.follow() == nil) }
    let collections = try stores.map { try $0.collection("c") }
    let answers = collections.map { collection in
      (0..<20).map { number in
        let answer = AnswerSlot<Int>()
        collection.upsert([Point(id: "p\(number)", vector: [1, 2])]) { answer.put($0) }
        return answer
      }
    }
    for answer in answers.joined() { _ = try answer.wait() }
    for store in stores { #expect(store.follow() == nil) }
    for collection in collections {
      #expect(collection.snapshot.count == 20)
      #expect(collection.snapshot.digest == collections[0].snapshot.digest)
    }
  }

  /// The first server of an address accepts connections and never says a word: the second one has its turn all the same.
  @Test func aSilentServerIsPassedOver() throws {
    let listener = try SilentListener()
    let url = database.url.replacingOccurrences(of: "?host=", with: "?host=127.0.0.1,") + "&port=\(listener.port),5432"
    let store = try CollectionStore(records: try PostgresRecords.open(url))
    #expect(try store.create("c", dimension: 2, metric: .dot).collection.upsert([Point(id: "x", vector: [1, 2])]) == 1)
    #expect(store.follow() == nil)
  }

  @Test func rowsThatNobodyHasWrittenAreNamed() throws {
    let store = try replica()
    let collection = try store.create("c", dimension: 2, metric: .dot).collection
    _ = try collection.upsert([Point(id: "x", vector: [1, 2])])
    for column in ["version", "count", "horizon"] {
      for value in ["9223372036854775807", "-1"] {
        try database.run("UPDATE nearfar.collections SET \(column) = \(value)")
        #expect(
          store.follow() == .damaged("the database is damaged: a row of nearfar.collections is not as it was written"))
        #expect(throws: StoreError.self) { _ = try collection.upsert([Point(id: "y", vector: [1, 2])]) }
      }
      try database.run("UPDATE nearfar.collections SET \(column) = \(column == "horizon" ? 0 : 1)")
    }
    #expect(store.follow() == nil)
    #expect(try collection.upsert([Point(id: "y", vector: [1, 2])]) == 2)
    try database.run("UPDATE nearfar.format SET format = -1")
    #expect(throws: OpenError.self) { _ = try replica() }
  }

  /// A collection that cannot be loaded is not loaded over and over, and is there once it has been mended.
  @Test func aDamagedCollectionIsTriedAgainLater() throws {
    let lines = Lines()
    let a = try replica()
    let b = try CollectionStore(records: try PostgresRecords.open(database.url), progress: lines.add)
    let collection = try a.create("c", dimension: 2, metric: .dot).collection
    _ = try collection.upsert([Point(id: "x", vector: [1, 2])])
    try database.run("UPDATE nearfar.points SET checksum = checksum + 1")
    for _ in 0..<200 { #expect(b.follow() != nil) }
    // Said once for each attempt.
    #expect((1...5).contains(lines.text.split(separator: "\n").count { $0.contains("point 'x'") }))
    #expect(throws: StoreError.unknownCollection("c")) { _ = try b.collection("c") }
    try database.run("UPDATE nearfar.points SET checksum = checksum - 1")
    var tries = 0
    while b.follow() != nil, tries < 100 {
      tries += 1
      usleep(50_000)
    }
    #expect(try b.collection("c").snapshot.count == 1)
  }

  /// What other collections hold is as new as before, while that one is behind.
  @Test func aDamagedCollectionKeepsNoOthersBehind() throws {
    let a = try replica()
    let b = try replica()
    let (bad, good) = (
      try a.create("bad", dimension: 2, metric: .dot).collection,
      try a.create("good", dimension: 2, metric: .dot).collection
    )
    _ = try bad.upsert([Point(id: "x", vector: [1, 2])])
    #expect(b.follow() == nil)
    // Points that are sent through the changes are what they were; what is loaded anew is not.
    try database.run("UPDATE nearfar.points SET checksum = checksum + 1")
    try database.run("UPDATE nearfar.collections SET digest = digest + 1 WHERE name = 'bad'")
    _ = try good.upsert([Point(id: "y", vector: [3, 4])])
    func refreshed(_ name: String?) -> StoreError? {
      let answer = AnswerSlot<Int>()
      b.refresh(of: name, within: 30) { answer.put($0.map { .failure($0) } ?? .success(1)) }
      do throws(StoreError) { _ = try answer.wait() } catch { return error }
      return nil
    }
    #expect(refreshed("good") == nil)
    #expect(try b.collection("good").snapshot.count == 1)
    #expect(refreshed("bad") != nil)
    #expect(refreshed(nil) != nil)
    usleep(600_000)
    #expect(refreshed("good") == nil)
    #expect(b.staleSeconds(of: "good") == 0)
    #expect(b.staleSeconds(of: "bad") > 0.5)
    #expect(b.staleSeconds(of: nil) > 0.5)
    try database.run("UPDATE nearfar.points SET checksum = checksum - 1")
    try database.run("UPDATE nearfar.collections SET digest = digest - 1 WHERE name = 'bad'")
    #expect(b.follow() == nil)
    #expect(b.staleSeconds(of: "bad") == 0)
  }

  /// What is old is forgotten while somebody holds one collection, which neither waits nor keeps others waiting.
  @Test func sweepingPassesOverWhatIsHeld() throws {
    let store = try replica()
    for name in ["a", "held", "z"] {
      let collection = try store.create(name, dimension: 2, metric: .dot).collection
      for number in 0..<3 { _ = try collection.upsert([Point(id: "p\(number)", vector: [1, 2])]) }
    }
    let holder = try database.holding("SELECT FROM nearfar.collections WHERE name = 'held' FOR UPDATE")
    try PostgresRecords.open(database.url).sweep(changesOlderThan: 0, keysOlderThan: 0)
    #expect(
      try database.run("SELECT string_agg(name || horizon, ' ' ORDER BY name) FROM nearfar.collections")
        == "a3 held0 z3")
    #expect(try database.run("SELECT count(*) FROM nearfar.changes") == "5")
    holder.end()
    try PostgresRecords.open(database.url).sweep(changesOlderThan: 0, keysOlderThan: 0)
    #expect(try database.run("SELECT count(*) FROM nearfar.changes") == "3")
  }

  /// A user who may not make schemas uses the one that was made for it.
  @Test func aSchemaThatIsThere() throws {
    try database.run(
      "DROP ROLE IF EXISTS narrow; CREATE ROLE narrow LOGIN; CREATE SCHEMA nearfar AUTHORIZATION narrow")
    let url = database.url.replacingOccurrences(of: "nearfar@", with: "narrow@")
    let store = try CollectionStore(records: try PostgresRecords.open(url))
    #expect(try store.create("c", dimension: 2, metric: .dot).created)
    store.close()
    try database.run("DROP OWNED BY narrow CASCADE; DROP ROLE narrow")
  }
}

/// Accepts connections on a port, by the kernel alone, and never answers.
private final class SilentListener {
  let port: UInt16
  private let descriptor: Int32

  init() throws {
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    try #require(descriptor >= 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let descriptor = descriptor
    let isBound = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, length) == 0 && listen(descriptor, 64) == 0 && getsockname(descriptor, $0, &length) == 0
      }
    }
    try #require(isBound)
    port = UInt16(bigEndian: address.sin_port)
  }

  deinit { close(descriptor) }
}
