import VectorIndex

extension CollectionSnapshot {
  /// Inserts `points`, which have been checked, replacing those with the same id.
  ///
  /// - Throws: when the index has no memory for them; the snapshot is of no use then.
  mutating func insert(_ points: [Point], into index: VectorIndex) throws(IndexError) {
    let old = take(points.lazy.map(\.id))
    var rows: [Float] = []
    rows.reserveCapacity(points.count * index.dimension)
    for point in points { rows.append(contentsOf: point.vector) }
    let slots = try index.apply(removing: old, adding: rows)
    for (point, slot) in zip(points, slots) {
      records.set(slot, Record(id: point.id, text: point.text, metadata: point.metadata))
      order.insert(slot, in: records)
      metadata.insert(slot: slot, metadata: point.metadata)
    }
    vectors = index.snapshot
  }

  /// Removes the points with these ids; ids that are not there are passed over.
  ///
  /// - Throws: as ``insert(_:into:)``.
  mutating func remove(_ ids: [String], from index: VectorIndex) throws(IndexError) {
    _ = try index.apply(removing: take(ids), adding: [])
    vectors = index.snapshot
  }

  /// Takes everything but the vectors out.
  ///
  /// - Returns: the slots that the points had.
  private mutating func take(_ ids: some Sequence<String>) -> [Int] {
    var slots: [Int] = []
    for id in ids {
      guard let slot = order.remove(id, in: records) else { continue }
      metadata.remove(slot: slot, metadata: records[slot]?.metadata)
      records.set(slot, nil)
      slots.append(slot)
    }
    return slots
  }
}
