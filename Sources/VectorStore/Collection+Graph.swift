import Platform
import Synchronization
import VectorIndex

extension Collection {
  /// Bytes of vectors after which freed memory is given back.
  private static let bytesPerTidying = 12 << 20

  /// Saves the graph when there is one and the file has another version. On the writer's queue, or before there is one.
  func saveGraph() {
    let snapshot = snapshot
    guard let graphFile, stale == nil, saved.withLock({ $0.version != snapshot.version }), let image = index.image()
    else { return }
    var keys: [Int64] = []
    keys.reserveCapacity(image.slots.count)
    for slot in image.slots {
      guard let record = snapshot.records[slot] else { return }
      keys.append(RowChecksum.ofNode(record.id, snapshot.vectors.vector(at: slot)))
    }
    let content = GraphFile.Content(version: snapshot.version, keys: keys, image: image)
    let isWritten = graphFile.write(content, of: (name: name, dimension: dimension, metric: metric))
    // One that cannot be written is tried again when as much has changed.
    saved.withLock { $0 = SavedGraph(version: isWritten ? snapshot.version : $0.version) }
  }

  /// After a write: saves the graph once so much has changed that a kill would cost a long start, and gives back freed memory.
  /// On the writer's queue.
  func tidy(changed: Int) {
    let total = saved.withLock { saved in
      saved.changed += changed
      return saved.changed
    }
    let isSaved = total >= 10_000 && total > snapshot.count / 5
    if isSaved { saveGraph() }
    let changed = untidied.add(changed, ordering: .relaxed).newValue
    // What is saved is put together in memory first.
    if isSaved || changed > Self.bytesPerTidying / (4 * dimension) {
      untidied.store(0, ordering: .relaxed)
      HeapMemory.giveBack()
      // The request that was written is still held.
      HeapMemory.giveBackSoon()
    }
  }

  /// Whether the search graph is whole.
  package var graphReport: GraphReport { index.validate() }
}
