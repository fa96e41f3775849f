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
