import VectorStore

/// A collection as its row has it, with what its points and tombstones add up to.
struct CollectionRow: Equatable {
  var stored: StoredCollection
  /// The sum of the checksums of its points and tombstones, modulo 2^64: it shows that a row is missing, doubled or old.
  var digest: Int64 = 0
  /// The number of remembered deletions. Counted while loading.
  var tombstones: Int64 = 0
  /// The newest version of which a deletion may have been forgotten; 0 while all are remembered. Found while loading.
  var horizon: Int64 = 0

  var id: Int64 { stored.id }

  /// Before the id, in the name that a dropped collection has until its rows are gone.
  private static let droppedPrefix = ":dropped:"

  var isDropped: Bool { stored.name.hasPrefix(Self.droppedPrefix) }

  /// As it is kept once it is dropped: its own name is free, and it has no recall target.
  var asDropped: CollectionRow {
    var dropped = self
    dropped.stored.name = "\(Self.droppedPrefix)\(id)"
    dropped.stored.recallTarget = nil
    return dropped
  }
}

/// The values of the `checksum` columns.
enum RowChecksum {
  static func of(_ point: Point, collection: Int64, version: Int64) -> Int64 {
    var sum = Checksum(1)
    sum.add(collection)
    sum.add(version)
    sum.add(point)
    return sum.value
  }

  static func ofTombstone(_ id: String, collection: Int64, version: Int64) -> Int64 {
    var sum = Checksum(2)
    sum.add(collection)
    sum.add(version)
    sum.add(id)
    return sum.value
  }

  /// The commit number is kept as a tombstone of no collection.
  static func ofCommitNumber(_ number: Int64) -> Int64 { ofTombstone("mark", collection: 0, version: number) }

  static func of(_ row: CollectionRow) -> Int64 {
    let stored = row.stored
    var sum = Checksum(3)
    sum.add(stored.id)
    sum.add(stored.name)
    sum.add(Int64(stored.dimension))
    sum.add(stored.metric.rawValue)
    sum.add(stored.model)
    sum.add(Int64(stored.version))
    sum.add(Int64(stored.count))
    sum.add(row.digest)
    // Without a target of its own the checksum is that of earlier formats.
    if let target = stored.recallTarget { sum.add(target.value.bitPattern) }
    return sum.value
  }

  static func of(_ target: RecallTarget, collection: Int64) -> Int64 {
    var sum = Checksum(7)
    sum.add(collection)
    sum.add(target.value.bitPattern)
    return sum.value
  }
}
