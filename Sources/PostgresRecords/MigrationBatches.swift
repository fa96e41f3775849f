import VectorStore

/// Cuts the points of a collection into batches, which depend on nothing but the points and their order.
///
/// So the digest that stands with a version in the database tells whether the versions up to it are the first batches of a
/// collection, and a copy that was interrupted can go on behind them.
struct MigrationBatches {
  /// The most points of a batch.
  private static let points = 1000
  /// The most bytes of a batch with more than one point, as they are counted here.
  private static let bytes = 4 << 20

  private var batch: [Point] = []
  private var size = 0

  /// Takes the next point.
  ///
  /// - Returns: the batch that ends before it, if one does.
  mutating func add(_ point: Point) -> [Point]? {
    let more =
      16 + point.id.utf8.count + 4 * point.vector.count + (point.text?.utf8.count ?? 0)
      + (point.metadata?.count ?? 0)
    let isFull = batch.count == Self.points || (!batch.isEmpty && size > Self.bytes - more)
    let full = isFull ? rest() : nil
    batch.append(point)
    size += more
    return full
  }

  /// The points of the last batch; nil when there are none.
  mutating func rest() -> [Point]? {
    defer {
      batch = []
      size = 0
    }
    return batch.isEmpty ? nil : batch
  }
}

extension Records {
  /// Calls `body` with every batch of a collection and its number, from 1 on, which is the version that it gets.
  func batches(
    of collection: StoredCollection, _ body: (Int, [Point]) throws(OpenError) -> Void
  ) throws(OpenError) {
    var batches = MigrationBatches()
    var number = 0
    try load(collection) { point throws(OpenError) in
      guard let batch = batches.add(point) else { return }
      number += 1
      try body(number, batch)
    }
    if let batch = batches.rest() { try body(number + 1, batch) }
  }
}
