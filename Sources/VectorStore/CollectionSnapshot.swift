import VectorIndex

/// One version of a collection, consistent in itself; later writes do not change it.
public struct CollectionSnapshot: Sendable {
  /// The number of batches that have changed the collection.
  public internal(set) var version: Int
  /// The fingerprint of the model that embedded the collection's texts; nil while it has been given vectors only.
  public internal(set) var model: String?
  /// nil where the default applies.
  var ownRecallTarget: RecallTarget?
  var vectors: IndexSnapshot
  var records = RecordBlocks()
  var order = IDOrder()
  var metadata = MetadataIndex()
  /// The slots in use.
  var live: SlotSet { vectors.live }

  init(version: Int, model: String?, recallTarget: RecallTarget?, vectors: IndexSnapshot) {
    self.version = version
    self.model = model
    ownRecallTarget = recallTarget
    self.vectors = vectors
  }

  /// The recall@10 of searches that ask for none, where there is a graph.
  public var recallTarget: Double { vectors.defaultTarget }

  /// The graph that searches walk; nil while searches are exact.
  public var graph: GraphSummary? {
    guard let graph = vectors.graph else { return nil }
    let calibration = vectors.calibration
    let pool = vectors.defaultPool
    return GraphSummary(
      nodes: graph.size, ef: pool?.ef, expectedRecall: pool?.expectedRecall ?? 1, target: vectors.defaultTarget,
      rows: calibration.rows.queries, asked: calibration.asked.queries, measuredAt: calibration.measuredAt)
  }

  public var count: Int { records.count }

  /// The point with this id.
  public func point(_ id: String) -> Point? {
    order.slot(of: id, in: records).flatMap(point(at:))
  }

  /// At most `limit` points whose ids come after `after`, in the order of their ids' bytes.
  public func points(after: String?, limit: Int) -> [Point] {
    order.slots(after: after, limit: limit, in: records).compactMap(point(at:))
  }

  /// The ids of the points that `filter` matches, in order.
  func ids(matching filter: Filter) -> [String] {
    var ids: [String] = []
    func take(_ slot: Int) {
      if let record = records[slot] { ids.append(record.id) }
    }
    metadata.matches(filter, among: live).forEach(take)
    return ids.sorted(by: IDBytes.precedes)
  }

  private func point(at slot: Int) -> Point? {
    records[slot].map {
      Point(id: $0.id, vector: vectors.vector(at: slot), text: $0.text, metadata: $0.metadata)
    }
  }
}

extension CollectionSnapshot {
  /// Inserts `points`, which have been checked, replacing those with the same id.
  ///
  /// - Throws: when the index cannot take them in; the snapshot is of no use then.
  mutating func insert(_ points: [Point], into index: VectorIndex) throws(IndexError) {
    let old = take(points.lazy.map(\.id))
    var rows: [Float] = []
    rows.reserveCapacity(points.count * index.dimension)
    for point in points { rows.append(contentsOf: point.vector) }
    let slots = try index.apply(removing: old, adding: rows)
    precondition(slots.count == points.count, "the index gives every row a slot")
    for (point, slot) in zip(points, slots) {
      records.set(slot, Record(id: point.id, text: point.text, metadata: point.metadata))
      order.insert(slot, in: records)
      metadata.insert(slot: slot, metadata: point.metadata)
    }
    vectors = index.snapshot
  }

  /// Removes the points with these ids; unknown ids are skipped.
  ///
  /// - Throws: as ``insert(_:into:)``.
  mutating func remove(_ ids: [String], from index: VectorIndex) throws(IndexError) {
    _ = try index.apply(removing: take(ids), adding: [])
    vectors = index.snapshot
  }

  /// Removes everything of these points but their vectors.
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
