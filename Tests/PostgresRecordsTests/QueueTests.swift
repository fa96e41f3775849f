import PostgresRecords
import StoreSupport
import TestSupport
import Testing
import VectorStore

/// Queues of negatives in the database.
@Suite struct QueueTests {
  private let database: TestDatabase
  private let records: PostgresRecords

  init() throws {
    database = try TestDatabase()
    records = try PostgresRecords.open(database.url)
  }

  private func make(_ name: String = "q", capacity: Int = 5, dimension: Int = 2) throws -> StoredQueue {
    try records.makeQueue(name, capacity: capacity, dimension: dimension, most: 3, mostValues: 100).queue
  }

  private func batches(of id: Int64, after version: Int = 0) throws -> (queue: StoredQueue, batches: [QueueBatch]) {
    var batches: [QueueBatch] = []
    let queue = try records.readQueue(id, after: version) { batches.append($0) }
    return (queue, batches)
  }

  @Test func theOldestRowsLeave() throws {
    let queue = try make()
    for number in 0..<4 {
      let values = (0..<4).map { Float(number * 4 + $0) }
      #expect(
        try records.append(rows: 2, values, to: queue.id, key: nil, answer: nil) == .done(version: number + 1))
    }
    let (now, held) = try batches(of: queue.id)
    #expect(now.version == 4 && now.appended == 8)
    // Five rows are held: the batch that the fourth of them is in stays whole.
    #expect(held.map(\.version) == [2, 3, 4])
    #expect(held.map(\.before) == [2, 4, 6])
    #expect(held[2].values == [12, 13, 14, 15])
    #expect(now.digest == held[2].digest)
    #expect(records.follows(held[1].digest, held[2]) && !records.follows(held[0].digest, held[2]))
    #expect(try batches(of: queue.id, after: 3).batches.map(\.version) == [4])
  }

  @Test func aBatchLargerThanTheQueueKeepsItsLastRows() throws {
    let queue = try make(capacity: 2)
    #expect(try records.append(rows: 7, [1, 2, 3, 4], to: queue.id, key: nil, answer: nil) == .done(version: 1))
    let (now, held) = try batches(of: queue.id)
    #expect(now.appended == 7)
    #expect(held == [QueueBatch(version: 1, before: 0, rows: 7, values: [1, 2, 3, 4], digest: now.digest)])
    // Rows of another number than they say they are.
    #expect(throws: StoreError.self) {
      _ = try records.append(rows: 2, [1, 2, 3], to: queue.id, key: nil, answer: nil)
    }
    #expect(try batches(of: queue.id).queue == now)
  }

  @Test func aKnownKeyAppendsNothingAndHasTheFirstAnswer() throws {
    let queue = try make()
    let key = ChangeKey(key: [1, 2, 3], fingerprint: [4])
    #expect(try records.append(rows: 1, [1, 2], to: queue.id, key: key, answer: [9]) == .done(version: 1))
    let other = try PostgresRecords.open(database.url)
    #expect(
      try other.append(rows: 1, [5, 6], to: queue.id, key: key, answer: [8]) == .repeated(version: 1, answer: [9]))
    #expect(throws: StoreError.keyReused) {
      _ = try other.append(
        rows: 1, [5, 6], to: queue.id, key: ChangeKey(key: [1, 2, 3], fingerprint: [5]), answer: nil)
    }
    #expect(try batches(of: queue.id).queue.appended == 1)
  }

  /// The connection is lost after the first batch has been given: nobody gets a batch twice.
  @Test func aLostConnectionGivesNoBatchTwice() throws {
    let queue = try make()
    for number in 0..<4 {
      _ = try records.append(rows: 1, [Float(number), 2], to: queue.id, key: nil, answer: nil)
    }
    var given: [Int] = []
    let whole = try records.readQueue(queue.id, after: 0) { batch in
      if given.isEmpty { _ = try? database.cutConnections() }
      given.append(batch.version)
    }
    #expect(given == [1, 2, 3, 4])
    #expect(whole.version == 4)
  }

  /// A key of an earlier queue of the name: nobody is told of a version that the new one does not have.
  @Test func aKeyOfAnEarlierQueue() throws {
    let key = ChangeKey(key: [1, 2, 3], fingerprint: [4])
    let earlier = try make()
    for _ in 0..<3 { _ = try records.append(rows: 1, [1, 2], to: earlier.id, key: nil, answer: nil) }
    #expect(try records.append(rows: 1, [1, 2], to: earlier.id, key: key, answer: [9]) == .done(version: 4))
    try records.dropQueue(earlier.id)
    #expect(
      try records.append(rows: 1, [1, 2], to: try make().id, key: key, answer: [8])
        == .repeated(version: 0, answer: [9]))
  }

  @Test func rowsThatNobodyHasWrittenAreNamed() throws {
    let queue = try make()
    _ = try records.append(rows: 1, [1, 2], to: queue.id, key: nil, answer: nil)
    for column in ["version", "appended", "capacity"] {
      let before = try database.run("SELECT \(column) FROM nearfar.queues")
      try database.run("UPDATE nearfar.queues SET \(column) = 9223372036854775807")
      #expect(throws: StoreError.damaged("the database is damaged: a row of nearfar.queues is not as it was written")) {
        _ = try records.queues()
      }
      #expect(throws: StoreError.self) { _ = try records.append(rows: 1, [1, 2], to: queue.id, key: nil, answer: nil) }
      try database.run("UPDATE nearfar.queues SET \(column) = \(before)")
    }
    for (column, value) in [("before", "-1"), ("rows", "2"), ("rows", "-1"), ("before", "9223372036854775807")] {
      let before = try database.run("SELECT \(column) FROM nearfar.queue_batches")
      try database.run("UPDATE nearfar.queue_batches SET \(column) = \(value)")
      #expect(throws: StoreError.self) { _ = try batches(of: queue.id) }
      try database.run("UPDATE nearfar.queue_batches SET \(column) = \(before)")
    }
    #expect(try batches(of: queue.id).batches.count == 1)
  }

  @Test func queuesAreBoundedInNumberAndSize() throws {
    #expect(try make("a").name == "a")
    #expect(try records.makeQueue("a", capacity: 9, dimension: 9, most: 3, mostValues: 100).created == false)
    #expect(throws: StoreError.full) {
      _ = try records.makeQueue("b", capacity: 46, dimension: 2, most: 3, mostValues: 100)
    }
    _ = try (make("b"), make("c"))
    #expect(throws: StoreError.full) { _ = try make("d") }
    #expect(try records.queues().map(\.name) == ["a", "b", "c"])
  }

  @Test func aDroppedQueueIsGoneWithItsRows() throws {
    let queue = try make()
    _ = try records.append(rows: 1, [1, 2], to: queue.id, key: nil, answer: nil)
    try records.dropQueue(queue.id)
    #expect(throws: StoreError.unknownCollection("\(queue.id)")) { try records.dropQueue(queue.id) }
    #expect(throws: StoreError.unknownCollection("\(queue.id)")) {
      _ = try records.append(rows: 1, [1, 2], to: queue.id, key: nil, answer: nil)
    }
    #expect(try make().id != queue.id)
    try records.sweep(changesOlderThan: 0, keysOlderThan: 0)
    #expect(try database.run("SELECT count(*) FROM nearfar.queue_batches") == "0")
  }
}
