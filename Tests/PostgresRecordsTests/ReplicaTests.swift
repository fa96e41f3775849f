import PostgresRecords
import StoreSupport
import TestSupport
import Testing
import VectorIndex
import VectorStore

/// Several stores over one database: what one of them writes, the others have.
@Suite struct ReplicaTests {
  private let database: TestDatabase

  init() throws { database = try TestDatabase() }

  private func replica(readOnly: Bool = false) throws -> CollectionStore {
    try CollectionStore(records: try PostgresRecords.open(database.url, readOnly: readOnly))
  }

  @Test func whatOneWritesTheOthersHave() throws {
    let (a, b) = (try replica(), try replica())
    var random = Seeded(5)
    let made = try a.create("c", dimension: 4, metric: .euclidean).collection
    var model = Model()
    for round in 0..<10 {
      let batch = (0..<20).map { random.point("p\(round * 7 + $0)") }
      _ = try made.upsert(batch, model: "m")
      model.upsert(batch)
      let gone = (0..<5).map { "p\(round * 6 + $0)" }
      _ = try made.delete(gone)
      model.delete(gone)
    }
    #expect(b.follow() == nil)
    let other = try b.collection("c")
    #expect(model.matches(other.snapshot))
    #expect(other.snapshot.version == made.snapshot.version)
    #expect(other.snapshot.digest == made.snapshot.digest)
    #expect(other.snapshot.model == "m")
    try a.delete("c")
    #expect(b.follow() == nil)
    #expect(b.all.isEmpty)
  }

  /// Both write in turns: each batch is applied everywhere in the order of the versions, and the answers are the same bytes.
  @Test func writersTakeTurns() throws {
    let stores = [try replica(), try replica(), try replica()]
    var random = Seeded(6)
    _ = try stores[0].create("c", dimension: 4, metric: .cosine)
    for store in stores { #expect(store.follow() == nil) }
    var model = Model()
    for round in 0..<60 {
      let collection = try stores[round % 3].collection("c")
      if round % 5 == 4 {
        let gone = (0..<8).map { _ in "p\(random.next() % 200)" }
        _ = try collection.delete(gone)
        model.delete(gone)
      } else {
        let numbers = Set((0..<10).map { _ in random.next() % 200 })
        let batch = numbers.sorted().map { random.point("p\($0)") }
        #expect(try collection.upsert(batch) == model.version + 1)
        model.upsert(batch)
      }
      // Whoever wrote has everything that was written before.
      #expect(model.matches(collection.snapshot))
    }
    for store in stores { #expect(store.follow() == nil) }
    let snapshots = try stores.map { try $0.collection("c").snapshot }
    let queries = random.matrix(10, 4)
    var search = NeighborSearch(k: 9)
    search.mode = .exact
    let answers = try snapshots.map { snapshot in
      try snapshot.nearest(to: queries, search).neighbors.map { row in
        row.map { "\($0.id) \($0.score.bitPattern)" }
      }
    }
    for (snapshot, answer) in zip(snapshots, answers) {
      #expect(snapshot.version == model.version && snapshot.digest == snapshots[0].digest)
      #expect(model.matches(snapshot))
      #expect(answer == answers[0])
    }
  }

  /// What is derived from the points that a filter matches is derived again when another replica has changed them.
  @Test func derivedChangesMeetTheNewestVersion() throws {
    let (a, b) = (try replica(), try replica())
    let first = try a.create("c", dimension: 2, metric: .dot).collection
    _ = try first.upsert([Point(id: "x", vector: [1, 2], metadata: Array(#"{"n":1}"#.utf8))])
    b.follow()
    let second = try b.collection("c")
    _ = try first.upsert([Point(id: "y", vector: [3, 4], metadata: Array(#"{"n":1}"#.utf8))])
    // The second replica has not seen y yet.
    #expect(second.snapshot.count == 1)
    let outcome = try second.delete(where: .anyOf(field: "n", values: [.number(1)]))
    #expect(outcome.deleted == 2)
    #expect(second.snapshot.count == 0)
    a.follow()
    #expect(first.snapshot.count == 0)
  }

  /// A deletion by a filter that is derived again, behind a batch of the same transaction, does not take the collection back to the
  /// version of that batch.
  @Test func aChangeThatIsDerivedAgainKeepsTheOrder() async throws {
    let (a, b) = (try replica(), try replica())
    let first = try a.create("c", dimension: 2, metric: .dot).collection
    _ = try first.upsert([Point(id: "x", vector: [1, 2], metadata: Array(#"{"n":1}"#.utf8))])
    b.follow()
    let second = try b.collection("c")
    for round in 0..<20 {
      _ = try first.upsert([Point(id: "x", vector: [1, 2], metadata: Array(#"{"n":1}"#.utf8))])
      let deleted = AnswerSlot<(version: Int, deleted: Int)>()
      let written = AnswerSlot<Int>()
      b.holdingWrites {
        second.delete(where: .anyOf(field: "n", values: [.number(1)])) { deleted.put($0) }
        second.upsert([Point(id: "y\(round)", vector: [3, 4])]) { written.put($0) }
      }
      let versions = [try deleted.wait().version, try written.wait()]
      #expect(second.snapshot.version == versions.max())
      #expect(second.snapshot.point("x") == nil)
      #expect(second.snapshot.point("y\(round)") != nil)
      a.follow()
      #expect(first.snapshot.digest == second.snapshot.digest && first.snapshot.version == second.snapshot.version)
    }
  }

  /// A transaction that holds the row of one collection does not hold up the others, and its own writes are made once it ends.
  @Test func aHeldCollectionDoesNotHoldUpOthers() throws {
    let store = try replica()
    let held = try store.create("held", dimension: 2, metric: .dot).collection
    let free = try store.create("free", dimension: 2, metric: .dot).collection
    let holder = try database.holding("SELECT FROM nearfar.collections WHERE name = 'held' FOR UPDATE")
    let waiting = AnswerSlot<Int>()
    held.upsert([Point(id: "x", vector: [1, 2])]) { waiting.put($0) }
    for round in 1...5 {
      #expect(try free.upsert([Point(id: "p\(round)", vector: [1, 2])]) == round)
      #expect(store.follow() == nil)
    }
    #expect(held.snapshot.version == 0)
    holder.end()
    #expect(try waiting.wait() == 1)
    #expect(held.snapshot.count == 1)
  }

  /// The same key on another replica does nothing, and has the first outcome; with another request it is an error.
  @Test func aKeyIsUsedOnce() throws {
    let (a, b) = (try replica(), try replica())
    let first = try a.create("c", dimension: 2, metric: .dot).collection
    b.follow()
    let second = try b.collection("c")
    let key = ChangeKey(key: Array(repeating: 7, count: 16), fingerprint: [1])
    func write(_ collection: VectorCollection, _ id: String, _ key: ChangeKey) throws(StoreError) -> Int {
      let answer = AnswerSlot<Int>()
      collection.upsert([Point(id: id, vector: [1, 2])], key: key) { answer.put($0) }
      return try answer.wait()
    }
    #expect(try write(first, "x", key) == 1)
    _ = try first.upsert([Point(id: "x", vector: [9, 9])])
    #expect(try write(second, "x", key) == 1)
    // What came after the first write stays.
    #expect(b.follow() == nil)
    #expect(second.snapshot.version == 2)
    #expect(second.snapshot.point("x")?.vector == [9, 9])
    #expect(throws: StoreError.keyReused) {
      _ = try write(second, "x", ChangeKey(key: key.key, fingerprint: [2]))
    }
    // The same key twice in one transaction.
    let other = ChangeKey(key: Array(repeating: 8, count: 16), fingerprint: [1])
    let answers = [AnswerSlot<Int>(), AnswerSlot<Int>()]
    a.holdingWrites {
      for answer in answers { first.upsert([Point(id: "z", vector: [1, 2])], key: other) { answer.put($0) } }
    }
    #expect(try answers.map { try $0.wait() } == [3, 3])
    #expect(try database.run("SELECT version FROM nearfar.collections WHERE name = 'c'") == "3")
  }

  /// What is old is forgotten; a replica that is further behind loads the collection anew, and one that is not goes on.
  @Test func oldChangesAreForgotten() throws {
    let (a, late) = (try replica(), try replica())
    let collection = try a.create("c", dimension: 2, metric: .dot).collection
    late.follow()
    for number in 1...5 { _ = try collection.upsert([Point(id: "p\(number)", vector: [Float(number), 2])]) }
    let near = try replica()
    let records = try PostgresRecords.open(database.url)
    _ = try a.create("gone", dimension: 2, metric: .dot).collection.upsert([Point(id: "x", vector: [1, 2])])
    try a.delete("gone")
    try records.sweep(changesOlderThan: 0, keysOlderThan: 0)
    // The last one stays, because the next goes on from its digest.
    #expect(try database.run("SELECT count(*), min(version) FROM nearfar.changes") == "1|5")
    #expect(try database.run("SELECT count(*) FROM nearfar.points") == "5")
    #expect(try database.run("SELECT count(*) FROM nearfar.dropped") == "0")
    _ = try collection.upsert([Point(id: "p6", vector: [6, 2])])
    for store in [late, near] {
      #expect(store.follow() == nil)
      let snapshot = try store.collection("c").snapshot
      #expect(snapshot.all == collection.snapshot.all && snapshot.digest == collection.snapshot.digest)
    }
  }

  @Test func aLostConnectionIsMadeAgain() throws {
    let store = try replica()
    let collection = try store.create("c", dimension: 2, metric: .dot).collection
    for round in 1...5 {
      try database.cutConnections()
      #expect(try collection.upsert([Point(id: "p\(round)", vector: [1, 2])]) == round)
      try database.cutConnections()
      #expect(store.follow() == nil)
    }
    #expect(try replica().collection("c").snapshot.count == 5)
  }

  @Test func aFollowerRefusesWrites() throws {
    let collection = try replica().create("c", dimension: 2, metric: .dot).collection
    _ = try collection.upsert([Point(id: "x", vector: [1, 2])])
    let follower = try replica(readOnly: true)
    let seen = try follower.collection("c")
    #expect(seen.snapshot.count == 1)
    #expect(throws: StoreError.readOnly) { _ = try seen.upsert([Point(id: "y", vector: [1, 2])]) }
  }

  /// A server that took over without the last commits: what was applied from them is given up.
  @Test func historyThatWasRewoundIsNoticed() throws {
    let (a, b) = (try replica(), try replica())
    let collection = try a.create("c", dimension: 2, metric: .dot).collection
    for number in 1...4 { _ = try collection.upsert([Point(id: "p\(number)", vector: [Float(number), 2])]) }
    b.follow()
    // The database goes back to version 3 and then on to another version 4 and 5.
    try database.run(
      """
      BEGIN;
      DELETE FROM nearfar.points WHERE version = 4; DELETE FROM nearfar.changes WHERE version = 4;
      UPDATE nearfar.collections SET version = 3, count = 3,
        digest = (SELECT digest FROM nearfar.changes WHERE version = 3);
      COMMIT
      """)
    let c = try replica()
    let other = try c.collection("c")
    _ = try other.upsert([Point(id: "q4", vector: [7, 8])])
    _ = try other.upsert([Point(id: "q5", vector: [9, 8])])
    #expect(b.follow() == nil)
    let again = try b.collection("c").snapshot
    #expect(again.all.map(\.id) == ["p1", "p2", "p3", "q4", "q5"])
    #expect(again.digest == other.snapshot.digest)
  }

  /// The same, where the replica writes before it has looked: its own batch must not hide what was lost, whether its version was
  /// there before or is the next one.
  @Test(arguments: [3, 4]) func ownWritesDoNotHideThatHistoryWasRewound(left: Int) throws {
    let (a, b) = (try replica(), try replica())
    let collection = try a.create("c", dimension: 2, metric: .dot).collection
    for number in 1...5 { _ = try collection.upsert([Point(id: "p\(number)", vector: [Float(number), 2])]) }
    b.follow()
    try database.run(
      """
      BEGIN;
      DELETE FROM nearfar.points WHERE version > \(left); DELETE FROM nearfar.changes WHERE version > \(left);
      UPDATE nearfar.collections SET version = \(left), count = \(left),
        digest = (SELECT digest FROM nearfar.changes WHERE version = \(left));
      COMMIT
      """)
    let other = try replica().collection("c")
    // The others go on until the version that the second replica has, which then writes the next one.
    for number in left..<4 { _ = try other.upsert([Point(id: "q\(number)", vector: [7, 8])]) }
    let late = try b.collection("c")
    for number in 1...3 {
      // What is answered is there; what is not answered is stored, and is there after the collection has been loaded again.
      _ = try? late.upsert([Point(id: "r\(number)", vector: [1, Float(number)])])
    }
    #expect(b.follow() == nil)
    let snapshot = try b.collection("c").snapshot
    let truth = try replica().collection("c").snapshot
    #expect(snapshot.all == truth.all)
    #expect(snapshot.version == truth.version && snapshot.digest == truth.digest)
    #expect(snapshot.point("p5") == nil && snapshot.point("p\(left)") != nil)
  }

  @Test func damageIsNamed() throws {
    let collection = try replica().create("c", dimension: 2, metric: .dot).collection
    _ = try collection.upsert([Point(id: "x", vector: [1, 2]), Point(id: "y", vector: [1, 2])])
    try database.run(#"UPDATE nearfar.points SET vector = '\\x0000803f00008040' WHERE id = 'y'"#)
    #expect {
      _ = try replica()
    } throws: {
      ($0 as? OpenError)?.cause == .damaged && "\($0)".contains("point 'y'")
    }
  }

  /// Replicas that start together on an empty database make its tables once.
  @Test func startsAtTheSameTime() async throws {
    let url = database.url
    let formats = try await withThrowingTaskGroup(of: Int.self) { group in
      for _ in 0..<4 {
        group.addTask {
          try PostgresRecords.open(url).collections().count
        }
      }
      return try await group.reduce(into: []) { $0.append($1) }
    }
    #expect(formats == [0, 0, 0, 0])
    #expect(try database.run("SELECT count(*) FROM nearfar.format") == "1")
  }

  @Test func aNewerFormatIsRefused() throws {
    _ = try replica()
    try database.run("UPDATE nearfar.format SET format = 99")
    #expect {
      _ = try replica()
    } throws: {
      "\($0)".contains("its format is 99") && !"\($0)".contains("password")
    }
  }
}
