import VectorStore

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
