import Platform
import VectorIndex

/// Brings a stored collection into memory.
///
/// The rows come in the order of their versions; the graph follows when all are there.
enum Loading {
  /// Values that are handed to the index at once: 4 MB.
  private static let valuesPerBatch = 1 << 20
  private static let pointsPerReport: Int64 = 100_000

  /// - Parameters:
  ///   - file: where the graph may have been saved.
  ///   - progress: gets a line now and then.
  /// - Returns: also where the graph is from.
  /// - Throws: ``OpenError`` naming what is damaged.
  static func load(
    _ stored: StoredCollection, from records: any Records, _ options: IndexOptions, _ file: GraphFile?,
    progress: (String) -> Void
  ) throws(OpenError) -> (index: VectorIndex, snapshot: CollectionSnapshot, graph: GraphOrigin) {
    let index = VectorIndex(dimension: stored.dimension, metric: stored.metric, options: options)
    index.setRecallTarget(stored.recallTarget?.value)
    var snapshot = CollectionSnapshot(
      version: Int(stored.version), model: stored.model, recallTarget: stored.recallTarget, vectors: index.snapshot)
    var slots: [Int] = []
    var keys: [Int64] = []
    var pending: [Record] = []
    var rows: [Float] = []
    func flush() throws(OpenError) {
      let given: [Int]
      do throws(IndexError) {
        given = try index.apply(removing: [], adding: rows, buildsGraph: false)
      } catch {
        throw OpenError("collection '\(stored.name)' cannot be loaded: \(StoreError(error))")
      }
      for (record, slot) in zip(pending, given) {
        snapshot.records.set(slot, record)
        snapshot.metadata.insert(slot: slot, metadata: record.metadata)
      }
      slots.append(contentsOf: given)
      pending.removeAll(keepingCapacity: true)
      rows.removeAll(keepingCapacity: true)
    }
    // Room for all at once: growing would hold the old and the new.
    do throws(IndexError) {
      try index.reserve(Int(stored.count))
    } catch {
      throw OpenError("collection '\(stored.name)' cannot be loaded: \(StoreError(error))")
    }
    var read: Int64 = 0
    try records.load(stored) { point throws(OpenError) in
      rows.append(contentsOf: point.vector)
      keys.append(RowChecksum.ofNode(point.id, point.vector))
      pending.append(Record(id: point.id, text: point.text, metadata: point.metadata))
      if rows.count >= valuesPerBatch { try flush() }
      read += 1
      if read % pointsPerReport == 0 {
        progress("loading collection '\(stored.name)': \(read) of \(stored.count) points")
      }
    }
    if !pending.isEmpty { try flush() }
    let graph: GraphOrigin
    do throws(IndexError) {
      graph = try GraphCatchUp.run(index, stored, keys: keys, slots: slots, options, file, progress: progress)
    } catch {
      throw OpenError("collection '\(stored.name)' cannot be loaded: \(StoreError(error))")
    }
    let all = snapshot.records
    snapshot.order = IDOrder(
      sorted: slots.sorted { IDBytes.precedes(all[$0]?.id ?? "", all[$1]?.id ?? "") })
    snapshot.vectors = index.snapshot
    HeapMemory.giveBack()
    progress("loaded collection '\(stored.name)': \(snapshot.count) points, version \(stored.version)")
    return (index, snapshot, graph)
  }
}
