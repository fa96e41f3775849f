/// Records that several replicas share. Each of them may write, and each follows what the others have written.
///
/// A write locks its collection in the database, so that versions are dense and in the order of the commits on every replica.
package protocol SharedRecords: Records {
  /// As ``Records/commit(_:)``.
  ///
  /// - Parameters:
  ///   - basis: the version that the first change was derived from; nil when it was derived from none. When another replica has
  ///     written a newer one meanwhile, the outcome of that change is ``StoreError/outdated(version:)``.
  ///   - keys: those of the changes, in their order; empty when none has one. A change whose key has been stored with an earlier one
  ///     is not done again: its outcome is ``Committed/repeated(version:points:answer:)``.
  func commit(
    _ group: [RecordChange], basis: Int?, keys: [ChangeKey?]
  ) throws(StoreError) -> [Result<Committed, StoreError>]

  /// Calls `begin` with a collection as it is now, and then `body` with every point of that version, in the order of the bytes of
  /// their ids, and checks that none is damaged.
  ///
  /// - Parameter collection: as ``Records/collections()`` gave it; it may have changed since.
  /// - Throws: ``OpenError`` naming what is damaged or cannot be read, or what `begin` or `body` throws.
  func load(
    _ collection: StoredCollection, _ begin: (StoredCollection) throws(OpenError) -> Void,
    _ body: (Point) throws(OpenError) -> Void
  ) throws(OpenError)

  /// Waits until others may have changed something, for at most so many seconds.
  ///
  /// - Returns: whether there was a hint that they have. Hints may be lost.
  func waitForHint(seconds: Double) -> Bool

  /// Gives a hint, and waits until it arrives here.
  ///
  /// - Returns: what it means that it does not; nil where it does, and where none can be given, as by a replica that only reads.
  func missingHints() -> String?
}

extension Records {
  /// As ``SharedRecords/load(_:_:_:)``, for all records: those of this process alone do not change while they are loaded.
  func load(
    current collection: StoredCollection, _ begin: (StoredCollection) throws(OpenError) -> Void,
    _ body: (Point) throws(OpenError) -> Void
  ) throws(OpenError) {
    if let shared = self as? any SharedRecords { return try shared.load(collection, begin, body) }
    try begin(collection)
    try load(collection, body)
  }
}

/// The name that a client gives a change, so that the change is done once however often it is asked for, on whichever replica.
public struct ChangeKey: Sendable, Equatable {
  /// Of the client and of its name for the change; 16 bytes.
  package let key: [UInt8]
  /// Of what was asked for; 16 bytes. The same key with another fingerprint is an error.
  package let fingerprint: [UInt8]

  package init(key: [UInt8], fingerprint: [UInt8]) {
    self.key = key
    self.fingerprint = fingerprint
  }
}
