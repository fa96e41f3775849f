import Platform
import Safetensors
import VectorIndex

/// Brings a stored collection into memory: the rows in the order of their versions, then the graph.
enum Loading {
  /// Values that are passed to the index at once: 4 MB.
  private static let valuesPerBatch = 1 << 20
  private static let pointsPerReport = 100_000

  /// - Parameters:
  ///   - file: where the graph may have been saved.
  ///   - progress: receives a line of text now and then.
  /// - Returns: the index, the newest snapshot, and where the graph comes from.
  /// - Throws: ``OpenError`` naming what is damaged, or what was missing.
  static func load(
    _ stored: StoredCollection, from records: any Records, _ options: IndexOptions, _ file: GraphFile?,
    progress: (String) -> Void
  ) throws(OpenError) -> (index: VectorIndex, snapshot: CollectionSnapshot, graph: GraphOrigin) {
    let index = VectorIndex(dimension: stored.dimension, metric: stored.metric, options: options)
    var stored = stored
    var snapshot = CollectionSnapshot(
      version: stored.version, model: stored.model, recallTarget: stored.recallTarget, vectors: index.snapshot)
    var slots: [Int] = []
    var keys: [Int64] = []
    var pending: [Record] = []
    var rows: [Float] = []
    func flush() throws(OpenError) {
      let given: [Int]
      do throws(IndexError) {
        given = try index.apply(removing: [], adding: rows, buildsGraph: false)
      } catch {
        throw failure(stored, error)
      }
      precondition(given.count == pending.count, "the index gives every row a slot")
      for (record, slot) in zip(pending, given) {
        snapshot.records.set(slot, record)
        snapshot.metadata.insert(slot: slot, metadata: record.metadata)
      }
      slots.append(contentsOf: given)
      pending.removeAll(keepingCapacity: true)
      rows.removeAll(keepingCapacity: true)
    }
    func begin(_ current: StoredCollection) throws(OpenError) {
      stored = current
      snapshot.version = current.version
      snapshot.model = current.model
      snapshot.digest = current.digest
      snapshot.ownRecallTarget = current.recallTarget
      index.setRecallTarget(current.recallTarget?.value)
      // Room for all rows at once: growing would hold the old and the new records at the same time.
      do throws(IndexError) {
        try index.reserve(current.count)
      } catch {
        throw failure(current, error)
      }
    }
    var read = 0
    try records.load(current: stored, begin) { point throws(OpenError) in
      rows.append(contentsOf: point.vector)
      keys.append(GraphFile.key(of: point.id, point.vector))
      pending.append(Record(id: point.id, text: point.text, metadata: point.metadata))
      if rows.count >= valuesPerBatch { try flush() }
      read += 1
      if read % pointsPerReport == 0 {
        progress("loading collection '\(stored.name)': \(read) of \(stored.count) points")
      }
    }
    if !pending.isEmpty { try flush() }
    let graph = GraphCatchUp.run(index, stored, keys: keys, slots: slots, options, file, progress: progress)
    let all = snapshot.records
    snapshot.order = IDOrder(
      sorted: slots.sorted { IDBytes.precedes(all.id(at: $0), all.id(at: $1)) })
    snapshot.vectors = index.snapshot
    HeapMemory.giveBack()
    progress("loaded collection '\(stored.name)': \(snapshot.count) points, version \(stored.version)")
    return (index, snapshot, graph)
  }

  /// The error for an index that cannot take the rows in: nothing is known to be wrong with what is stored.
  private static func failure(_ stored: StoredCollection, _ error: IndexError) -> OpenError {
    OpenError("collection '\(stored.name)' cannot be loaded", StoreError(error))
  }
}

/// Where the graph of a loaded collection comes from.
public enum GraphOrigin: Sendable, Equatable {
  /// There is no graph: searches are exact.
  case none
  /// The graph saved at this version, and the number of points that had to be added to it.
  case saved(version: Int, added: Int)
  /// Built from the records: there is no file, it cannot be read now, or it has too few of the points.
  case built
  /// Built from the records, because the file is not as it was written, and how that shows.
  case damaged(String)
}

/// Gives a loaded index its graph: the saved one, brought up to date from the records, or a new one.
enum GraphCatchUp {
  /// From this many points on, building a graph takes long enough for a line of progress.
  private static let large = 10_000

  /// - Parameter keys: of the points in `slots`.
  static func run(
    _ index: VectorIndex, _ stored: StoredCollection, keys: [Int64], slots: [Int], _ options: IndexOptions,
    _ file: GraphFile?, progress: (String) -> Void
  ) -> GraphOrigin {
    var origin = GraphOrigin.built
    guard slots.count >= options.graphThreshold, stored.metric.allowsGraph(dimension: stored.dimension) else {
      // There are too few points for a graph, but codes are written.
      index.buildGraph()
      return .none
    }
    if let file, file.isOlder {
      progress(
        "collection '\(stored.name)': \(file.path) is of an earlier version: building the graph anew")
    } else if let file, file.exists {
      do throws(GraphFile.ReadFailure) {
        if let saved = try adopted(index, stored, keys: keys, slots: slots, file, progress: progress) { return saved }
      } catch {
        switch error {
        case .damaged(let reason):
          origin = .damaged("\(file.path) is damaged (\(reason))")
          progress("\(file.path) is damaged (\(reason)): building the graph anew")
        // Nothing is known to be wrong with the file.
        case .unavailable(let reason):
          progress("\(file.path) cannot be read (\(reason)): building the graph anew")
        }
      }
    } else if slots.count >= large {
      progress("collection '\(stored.name)': building the graph of \(slots.count) points")
    }
    index.buildGraph()
    return origin
  }

  /// The graph in the file as far as it fits the records; nil when it does not, or cannot be taken in.
  private static func adopted(
    _ index: VectorIndex, _ stored: StoredCollection, keys: [Int64], slots: [Int], _ file: GraphFile,
    progress: (String) -> Void
  ) throws(GraphFile.ReadFailure) -> GraphOrigin? {
    let content = try file.read(for: stored)
    let slotOfKey = Dictionary(zip(keys, slots), uniquingKeysWith: { first, _ in first })
    let places = content.keys.map { slotOfKey[$0] ?? -1 }
    guard index.adopt(content.image, at: places) else {
      progress("\(file.path) does not fit the records: building the graph anew")
      return nil
    }
    let known = places.reduce(0) { $0 + ($1 >= 0 ? 1 : 0) }
    progress(
      "collection '\(stored.name)': read the graph of \(known) points from \(file.path), added \(slots.count - known)")
    return .saved(version: content.version, added: slots.count - known)
  }
}
