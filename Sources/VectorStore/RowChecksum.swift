/// What the `checksum` column of each table is over.
enum RowChecksum {
  static func of(_ point: Point, collection: Int64, version: Int64) -> Int64 {
    var sum = Checksum(1)
    sum.add(collection)
    sum.add(version)
    sum.add(point.id)
    sum.add(point.vector)
    sum.add(point.text)
    sum.add(point.metadata)
    return sum.value
  }

  static func ofTombstone(_ id: String, collection: Int64, version: Int64) -> Int64 {
    var sum = Checksum(2)
    sum.add(collection)
    sum.add(version)
    sum.add(id)
    return sum.value
  }

  /// The mark stands as a deletion of no collection.
  static func ofMark(_ number: Int64) -> Int64 { ofTombstone("mark", collection: 0, version: number) }

  static func of(_ collection: StoredCollection) -> Int64 {
    var sum = Checksum(3)
    sum.add(collection.id)
    sum.add(collection.name)
    sum.add(Int64(collection.dimension))
    sum.add(collection.metric.rawValue)
    sum.add(collection.model)
    sum.add(collection.version)
    sum.add(collection.count)
    sum.add(collection.digest)
    // Without a target of its own it is as earlier formats have it.
    if let target = collection.recallTarget { sum.add(target.value.bitPattern) }
    return sum.value
  }

  static func of(_ target: RecallTarget, collection: Int64) -> Int64 {
    var sum = Checksum(7)
    sum.add(collection)
    sum.add(target.value.bitPattern)
    return sum.value
  }

  /// What a saved graph knows a point by: its place in the graph depends on the vector alone.
  static func ofNode(_ id: String, _ vector: [Float]) -> Int64 {
    var sum = Checksum(4)
    sum.add(id)
    sum.add(vector)
    return sum.value
  }
}
