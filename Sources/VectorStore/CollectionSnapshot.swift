import VectorIndex

/// One version of a collection, consistent in itself; later writes do not change it.
public struct CollectionSnapshot: Sendable {
  /// The number of batches that have changed the collection.
  public internal(set) var version: Int
  /// The fingerprint of the model that embedded the collection's texts; nil while it has been given vectors only.
  public internal(set) var model: String?
  /// Over all changes up to ``version``, where replicas share the records; 0 elsewhere.
  public internal(set) var digest: Int64 = 0
  /// nil where the default applies.
  var ownRecallTarget: RecallTarget?
  package internal(set) var vectors: IndexSnapshot
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

  /// At most `limit` points that `filter` matches and whose ids come after `after`, in the order of their ids' bytes.
  public func points(matching filter: Filter, after: String?, limit: Int) -> [Point] {
    let matches = metadata.matches(filter, among: live)
    var found: [Point] = []
    var last = after
    while found.count < limit {
      // The order is walked in pieces, so that a page of a filter that matches much does not sort all that matches.
      let slots = order.slots(after: last, limit: Self.slotsPerPiece, in: records)
      for slot in slots where matches.contains(slot) && found.count < limit {
        if let point = point(at: slot) { found.append(point) }
      }
      guard let end = slots.last, slots.count == Self.slotsPerPiece else { break }
      last = records.id(at: end)
    }
    return found
  }

  private static let slotsPerPiece = 4096

  /// The number of points that `filter` matches.
  public func count(matching filter: Filter) -> Int { metadata.matches(filter, among: live).count }

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
  /// Inserts `points`, which have been checked, replacing those with the same id. A vector that stays the same keeps its place in
  /// the index.
  ///
  /// - Throws: when the index cannot take them in; the snapshot is of no use then.
  mutating func insert(_ points: [Point], into index: VectorIndex) throws(IndexError) {
    var replaced: [Int] = []
    var added: [Int] = []
    for (row, point) in points.enumerated() {
      guard let slot = order.slot(of: point.id, in: records) else {
        added.append(row)
        continue
      }
      guard vectors.hasVector(point.vector, at: slot) else {
        added.append(row)
        if let slot = take(point.id) { replaced.append(slot) }
        continue
      }
      metadata.remove(slot: slot, metadata: records[slot]?.metadata)
      put(point, in: slot)
    }
    guard !added.isEmpty else { return }
    var rows: [Float] = []
    rows.reserveCapacity(added.count * index.dimension)
    for row in added { rows.append(contentsOf: points[row].vector) }
    let slots = try index.apply(removing: replaced, adding: rows)
    precondition(slots.count == added.count, "the index gives every row a slot")
    for (row, slot) in zip(added, slots) {
      put(points[row], in: slot)
      order.insert(slot, in: records)
    }
    vectors = index.snapshot
  }

  /// Removes the points with these ids; unknown ids are skipped.
  ///
  /// - Throws: as ``insert(_:into:)``.
  mutating func remove(_ ids: [String], from index: VectorIndex) throws(IndexError) {
    _ = try index.apply(removing: ids.compactMap { take($0) }, adding: [])
    vectors = index.snapshot
  }

  /// Puts everything of a point but its vector and its place in the order into a slot that has no metadata in the index.
  private mutating func put(_ point: Point, in slot: Int) {
    records.set(slot, Record(id: point.id, text: point.text, metadata: point.metadata))
    metadata.insert(slot: slot, metadata: point.metadata)
  }

  /// Takes everything of a point but its vector out.
  ///
  /// - Returns: the slot that it had; nil when there is no such point (any more: an id may stand twice in a deletion).
  private mutating func take(_ id: String) -> Int? {
    guard let slot = order.remove(id, in: records) else { return nil }
    metadata.remove(slot: slot, metadata: records[slot]?.metadata)
    records.set(slot, nil)
    return slot
  }
}
