import VectorStore

/// Compares a collection with its copy in the database, both read in the order of their ids, without holding either in memory.
struct MigrationCheck {
  let source: any OrderedReading
  let database: PostgresRecords

  /// - Returns: the digest, which is the same on both sides.
  /// - Throws: ``OpenError`` naming the collection and the first id that differs, or what is damaged.
  func compare(_ collection: StoredCollection, _ copy: StoredCollection) throws(OpenError) -> Int64 {
    var (ours, theirs) = (Self.begun(collection), Int64(0))
    try source.inIDOrder(collection) { next throws(OpenError) in
      var expected = try next()
      var sum = Checksum(13)
      try database.load(copy) { current throws(OpenError) in
        sum = Self.begun(current)
        guard sum.value == ours.value else { throw different(collection, "the settings are not the same") }
      } _: { found throws(OpenError) in
        guard let point = expected else { throw different(collection, "point '\(found.id)' is in the copy alone") }
        guard point.id.utf8.elementsEqual(found.id.utf8) else {
          let isMissing = point.id.utf8.lexicographicallyPrecedes(found.id.utf8)
          throw different(
            collection, isMissing ? "point '\(point.id)' is missing" : "point '\(found.id)' is in the copy alone")
        }
        if let field = Self.difference(point, found) {
          throw different(collection, "point '\(point.id)' has another \(field)")
        }
        ours.add(point)
        sum.add(found)
        expected = try next()
      }
      if let point = expected { throw different(collection, "point '\(point.id)' is missing") }
      theirs = sum.value
    }
    guard ours.value == theirs else { throw different(collection, "the digests are not the same") }
    return theirs
  }

  private func different(_ collection: StoredCollection, _ how: String) -> OpenError {
    OpenError(
      "collection '\(collection.name)' in \(database.location) is not what \(source.location) has: \(how)",
      cause: .damaged)
  }

  private static func begun(_ collection: StoredCollection) -> Checksum {
    var sum = Checksum(13)
    sum.add(Int64(collection.dimension))
    sum.add(collection.metric.rawValue)
    sum.add(collection.model)
    sum.add(collection.recallTarget.map { "\($0.value)" })
    return sum
  }

  /// The first part in which two points of one id differ, by their bytes; nil when there is none.
  private static func difference(_ a: Point, _ b: Point) -> String? {
    if !a.vector.elementsEqual(b.vector, by: { $0.bitPattern == $1.bitPattern }) { return "vector" }
    if a.text.map({ Array($0.utf8) }) != b.text.map({ Array($0.utf8) }) { return "text" }
    return a.metadata != b.metadata ? "metadata" : nil
  }
}
