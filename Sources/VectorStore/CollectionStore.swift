import Platform
import Synchronization
import VectorIndex

/// All collections of the process, by name.
public final class CollectionStore: Sendable {
  /// Where collections are kept.
  public enum Location: Sendable, Equatable, CustomStringConvertible {
    /// Nowhere: they end with the process.
    case memory
    /// A folder, made if there is none.
    case folder(String)

    public var description: String {
      switch self {
      case .memory: ":memory:"
      case .folder(let path): path
      }
    }
  }

  public let location: Location
  /// The data folder cannot be written: every write fails.
  public let isReadOnly: Bool
  /// How every collection's index is built.
  private let options: IndexOptions
  private let collections = Mutex<[String: Collection]>([:])
  private let writer: Writer
  private let records: SQLiteRecords
  /// Locked while it lives.
  private let folder: Mutex<DataFolder?>
  private let progress: @Sendable (String) -> Void

  /// Opens what is there and loads it into memory.
  ///
  /// - Parameters:
  ///   - threads: how many build an index.
  ///   - lowMemory: whether f32 rows are in a file of the folder and mapped, which leaves codes and graphs in memory.
  ///   - progress: gets a line now and then.
  /// - Throws: ``OpenError`` naming the path: a folder that is in use or cannot be made, a newer or foreign file, damage.
  public convenience init(
    data: Location = .memory, threads: Int = 1, lowMemory: Bool = false,
    progress: @escaping @Sendable (String) -> Void = { _ in }
  ) throws(OpenError) {
    var options = IndexOptions()
    options.threads = max(1, threads)
    if lowMemory, case .folder(let path) = data { options.rowFolder = path }
    try self.init(data: data, index: options, vfs: nil, progress: progress)
  }

  /// - Parameter vfs: a registered file system of SQLite's.
  /// - Parameter readOnly: takes the folder for one that cannot be written.
  package init(
    data: Location, index options: IndexOptions = IndexOptions(), vfs: String?, readOnly: Bool = false,
    bounds: RecordBounds = RecordBounds(),
    progress: @escaping @Sendable (String) -> Void = { _ in }
  ) throws(OpenError) {
    HeapMemory.shareHeaps(cores: options.threads)
    location = data
    self.options = options
    self.progress = progress
    let mark: CommitMark?
    switch data {
    case .memory:
      isReadOnly = false
      folder = Mutex(nil)
      mark = nil
      records = try SQLiteRecords(path: ":memory:", bounds: bounds)
      try records.prepareToWrite()
    case .folder(let path):
      let opened = try DataFolder(path, readOnly: readOnly)
      isReadOnly = opened.isReadOnly
      if isReadOnly { progress("the folder \(path) cannot be written: its collections are served read-only") }
      records = try SQLiteRecords.open(in: opened, vfs: vfs, bounds: bounds)
      mark = isReadOnly ? nil : CommitMark(in: path)
      opened.markUsed()
      folder = Mutex(opened)
    }
    writer = Writer(records: records, mark: mark)
    let stored: [StoredCollection]
    do throws(StoreError) { stored = try records.collections() } catch { throw OpenError("\(data): \(error)") }
    for row in stored {
      let file = graphFile(row.id)
      let (index, snapshot, graph) = try Loading.load(row, from: records, options, file, progress: progress)
      let loaded = Collection(
        row, index: index, snapshot: snapshot, writer: writer, graphFile: isReadOnly ? nil : file, graph: graph)
      // What was long to build is not built again after a kill.
      switch graph {
      case .built, .damaged: loaded.saveGraph()
      case .none, .saved: break
      }
      collections.withLock { $0[row.name] = loaded }
    }
    try records.accept()
    // What the killed process did not come to note.
    if records.hadLog, let mark, let number = try? records.advanceMark() { mark.write(number) }
    // From here on the records are the writer's.
    if records.hasRemnants { writer.sweep() }
    if case .folder(let path) = data, !isReadOnly { GraphFile.removeOthers(in: path, than: stored.map(\.id)) }
  }

  private func graphFile(_ id: Int64) -> GraphFile? {
    guard case .folder(let path) = location else { return nil }
    return GraphFile(in: path, collection: id, progress: progress)
  }

  /// Makes a collection, or finds the one that is alike.
  ///
  /// - Parameter recallTarget: a setting, which one that is there is given as well; without one it keeps what it has.
  /// - Returns: the collection, and whether it is new.
  /// - Throws: ``StoreError/conflict(_:)`` when one of that name has another dimension or metric.
  public func create(
    _ name: String, dimension: Int, metric: Metric = .cosine, recallTarget: RecallTargetChange = .keep
  ) throws(StoreError) -> (collection: Collection, created: Bool) {
    if let existing = collections.withLock({ $0[name] }) {
      guard existing.dimension == dimension, existing.metric == metric else {
        throw .conflict(
          "collection '\(name)' exists with dimension \(existing.dimension) and metric \(existing.metric.rawValue)")
      }
      do throws(StoreError) {
        try existing.change(recallTarget)
      } catch {
        // It was dropped meanwhile.
        guard case .unknownCollection = error else { throw error }
        return try create(name, dimension: dimension, metric: metric, recallTarget: recallTarget)
      }
      return (existing, false)
    }
    var target: RecallTarget?
    if case .set(let wanted) = recallTarget { target = wanted }
    let change = RecordChange.create(name: name, dimension: dimension, metric: metric, recallTarget: target)
    do throws(StoreError) {
      _ = try writer.perform(.record(change), for: nil) { [self] result in
        guard case .success(.created(let stored)) = result else { return }
        let index = VectorIndex(dimension: stored.dimension, metric: stored.metric, options: options)
        index.setRecallTarget(stored.recallTarget?.value)
        let snapshot = CollectionSnapshot(
          version: 0, model: nil, recallTarget: stored.recallTarget, vectors: index.snapshot)
        let made = Collection(stored, index: index, snapshot: snapshot, writer: writer, graphFile: graphFile(stored.id))
        collections.withLock { $0[name] = made }
      }
    } catch {
      // Another caller was first: the answer is about what it made.
      guard case .conflict = error, collections.withLock({ $0[name] != nil }) else { throw error }
      return try create(name, dimension: dimension, metric: metric, recallTarget: recallTarget)
    }
    return (try collection(name), true)
  }

  public func collection(_ name: String) throws(StoreError) -> Collection {
    guard let found = collections.withLock({ $0[name] }) else { throw .unknownCollection(name) }
    return found
  }

  /// Every collection, by name.
  public var all: [Collection] {
    collections.withLock { Array($0.values) }.sorted { $0.name < $1.name }
  }

  /// Deletes a collection and its points. Waits until that is durable.
  public func delete(_ name: String) throws(StoreError) {
    let found = try collection(name)
    do throws(StoreError) {
      _ = try writer.perform(.record(.drop(collection: found.id)), for: nil) { [self] result in
        guard case .success = result else { return }
        collections.withLock { $0[name] = nil }
        graphFile(found.id)?.remove()
      }
    } catch {
      if case .unknownCollection = error { throw .unknownCollection(name) }
      throw error
    }
  }

  /// Finishes what waits, saves the graphs, flushes and closes; later writes fail, reads go on.
  public func close() {
    let isOpen = folder.withLock { $0 != nil }
    writer.exclusively { records in
      if isOpen { for collection in all { collection.saveGraph() } }
      writer.noteCommits()
      records.close()
    }
    folder.withLock { $0 = nil }
  }

  /// Transactions that were committed since the store was opened.
  public var commits: Int { records.commits.load(ordering: .relaxed) }

  /// Lets writes gather while `body` runs, so that they go into one transaction.
  package func holdingWrites(_ body: () -> Void) { writer.holding(body) }
}
