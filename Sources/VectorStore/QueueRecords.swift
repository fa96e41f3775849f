/// A queue of negatives as the records have it: the newest rows of all that were ever appended, in one order for all replicas.
package struct StoredQueue: Sendable, Equatable {
  /// Never used again for another queue.
  package let id: Int64
  package let name: String
  /// Rows held at most.
  package let capacity: Int
  package let dimension: Int
  /// The number of batches that were appended.
  package var version: Int
  /// The number of rows that were ever appended.
  package var appended: Int
  /// Over all batches up to the version.
  package var digest: Int64

  package init(
    id: Int64, name: String, capacity: Int, dimension: Int, version: Int = 0, appended: Int = 0, digest: Int64 = 0
  ) {
    self.id = id
    self.name = name
    self.capacity = capacity
    self.dimension = dimension
    self.version = version
    self.appended = appended
    self.digest = digest
  }
}

/// Rows that were appended to a queue at once.
package struct QueueBatch: Sendable, Equatable {
  package let version: Int
  /// The number of rows that were appended before.
  package let before: Int
  /// The number of rows that were appended.
  package let rows: Int
  /// Those of the rows that the queue can hold: the last ones, row after row.
  package let values: [Float]
  /// Over all batches up to this one.
  package let digest: Int64

  package init(version: Int, before: Int, rows: Int, values: [Float], digest: Int64) {
    self.version = version
    self.before = before
    self.rows = rows
    self.values = values
    self.digest = digest
  }
}

/// Queues that several replicas share. Calls may come from any thread and return when they are done.
package protocol QueueRecords: AnyObject, Sendable {
  func queues() throws(StoreError) -> [StoredQueue]

  /// Makes a queue, or finds the one that has this name, whatever its settings.
  ///
  /// - Parameters:
  ///   - most: queues there may be.
  ///   - mostValues: values that all queues may hold together.
  /// - Throws: ``StoreError/full`` when there may be no further queue of this size.
  func makeQueue(
    _ name: String, capacity: Int, dimension: Int, most: Int, mostValues: Int
  ) throws(StoreError) -> (queue: StoredQueue, created: Bool)

  /// - Throws: ``StoreError/unknownCollection(_:)`` when there is none.
  func dropQueue(_ id: Int64) throws(StoreError)

  /// Appends rows in one transaction; when this returns it is durable.
  ///
  /// - Parameters:
  ///   - rows: the number of rows, of which `values` has those that the queue can hold.
  ///   - key: the client's name for the change. When it is known, nothing is appended, and the outcome is what was stored with it.
  ///   - answer: stored with the key.
  /// - Throws: ``StoreError/unknownCollection(_:)`` when there is no such queue.
  func append(
    rows: Int, _ values: [Float], to id: Int64, key: ChangeKey?, answer: [UInt8]?
  ) throws(StoreError) -> Appended

  /// Whether a batch is the one that came after those that have this digest.
  func follows(_ digest: Int64, _ batch: QueueBatch) -> Bool

  /// Calls `body` with each batch after `version` that is still held, in order.
  ///
  /// - Returns: the queue as it is with the last of these batches.
  /// - Throws: ``StoreError/unknownCollection(_:)`` when there is no such queue.
  func readQueue(
    _ id: Int64, after version: Int, _ body: (QueueBatch) -> Void
  ) throws(StoreError) -> StoredQueue
}

/// What became of rows that were to be appended.
package enum Appended: Sendable, Equatable {
  /// The rows are the last batch of this version.
  case done(version: Int)
  /// They were appended before, as this version.
  case repeated(version: Int, answer: [UInt8]?)
}
