import Synchronization
import VectorStore

/// Passes every call on to other records, except that a test can make calls fail or wait.
package final class ProxyRecords: Records {
  private let base: any Records
  /// Locked while commits are held back.
  private let gate = Mutex(())
  private let commitFailure = Mutex<StoreError?>(nil)
  private let loadFailure: OpenError?
  private let claimedCount: Int?

  /// - Parameters:
  ///   - loadFailure: the error that is thrown instead of loading a collection.
  ///   - claimedCount: the number of points that every collection claims to have.
  package init(_ base: any Records, loadFailure: OpenError? = nil, claimedCount: Int? = nil) {
    self.base = base
    self.loadFailure = loadFailure
    self.claimedCount = claimedCount
  }

  /// Commits wait while `body` runs.
  package func holdingCommits<Answer>(_ body: () throws -> Answer) rethrows -> Answer {
    try gate.withLock { _ in try body() }
  }

  /// Makes every later commit fail with `error`, or none if it is nil.
  package func failCommits(with error: StoreError?) { commitFailure.withLock { $0 = error } }

  package var location: RecordsLocation { base.location }
  package var isReadOnly: Bool { base.isReadOnly }

  package func collections() throws(StoreError) -> [StoredCollection] {
    var all = try base.collections()
    for index in all.indices { all[index].count = claimedCount ?? all[index].count }
    return all
  }

  package func load(_ collection: StoredCollection, _ body: (Point) throws(OpenError) -> Void) throws(OpenError) {
    if let loadFailure { throw loadFailure }
    try base.load(collection, body)
  }

  package func beginWriting() throws(OpenError) { try base.beginWriting() }

  package func commit(_ group: [RecordChange]) throws(StoreError) -> [Result<Committed, StoreError>] {
    gate.withLock { _ in }
    if let failure = commitFailure.withLock({ $0 }) { throw failure }
    return try base.commit(group)
  }

  package func changes(of collection: Int64, after version: Int, limit: Int) throws(StoreError) -> ChangePage {
    try base.changes(of: collection, after: version, limit: limit)
  }

  package func close() { base.close() }
}
