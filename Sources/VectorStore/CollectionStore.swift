import Dispatch
import Platform
import Synchronization
import VectorIndex

/// All collections of the process, by name.
public final class CollectionStore: Sendable {
  /// How the index of every collection is built.
  let options: IndexOptions
  let collections = Mutex<[String: VectorCollection]>([:])
  let writer: Writer
  /// When the records were last seen whole, where other replicas write to them.
  let contact = Contact()
  /// What follows the records beside the collections.
  let others = Mutex<[any Follower]>([])
  private let isClosed = Atomic(false)
  /// Numbers of collections are added to it. JSON's readers keep whole numbers of 53 bits.
  private let firstEpoch: Int64
  let progress: @Sendable (String) -> Void

  /// Loads the collections of `records` into memory.
  ///
  /// - Parameters:
  ///   - threads: how many build an index.
  ///   - lowMemory: whether f32 rows are in a mapped file in the records' folder, so that only codes and graphs are in memory.
  ///   - progress: receives a line of text now and then.
  /// - Throws: ``OpenError`` naming what is damaged or cannot be read.
  package convenience init(
    records: any Records, threads: Int, lowMemory: Bool = false,
    progress: @escaping @Sendable (String) -> Void = { _ in }
  ) throws(OpenError) {
    var options = IndexOptions()
    options.threads = max(1, threads)
    if lowMemory { options.rowFolder = records.location.folder }
    try self.init(records: records, index: options, progress: progress)
  }

  /// - Parameter options: how the index of every collection is built.
  package init(
    records: any Records, index options: IndexOptions = IndexOptions(),
    progress: @escaping @Sendable (String) -> Void = { _ in }
  ) throws(OpenError) {
    HeapMemory.shareHeaps(cores: options.threads)
    self.options = options
    self.progress = progress
    writer = Writer(records: records)
    // Microseconds since 1970, so that a later process has later epochs.
    firstEpoch = records.location.kind == "memory" ? Int64(SystemClock.unixSeconds) * 1_000_000 : 0
    let stored: [StoredCollection]
    do throws(StoreError) {
      stored = try records.collections()
    } catch {
      throw OpenError("\(records.location): the collections cannot be read", error)
    }
    for row in stored {
      let loaded = try load(row)
      collections.withLock { $0[row.name] = loaded }
    }
    try records.beginWriting()
    if let folder = location.folder, mayWriteFolder {
      // Behind the graphs that are saved now: the beginning of one looks like the remains of an interrupted write.
      writer.later { GraphFile.removeOthers(in: folder, than: stored.map(\.id)) }
    }
  }

  public var location: RecordsLocation { writer.records.location }

  /// The place of the records cannot be written: every write fails.
  public var isReadOnly: Bool { writer.records.isReadOnly }

  /// What is derived from the records may be saved in their folder. The folder of shared records is this process's own, whether or
  /// not it may write the records.
  private var mayWriteFolder: Bool { !isReadOnly || isShared }

  /// Transactions that have been committed since the store was opened.
  public var commits: Int { writer.commits.load(ordering: .relaxed) }

  /// Brings a stored collection into memory.
  func load(_ row: StoredCollection) throws(OpenError) -> VectorCollection {
    let file = graphFile(row.id)
    let (index, snapshot, origin) = try Loading.load(row, from: writer.records, options, file, progress: progress)
    let loaded = VectorCollection(
      row, epoch: firstEpoch + row.id, index: index, snapshot: snapshot, writer: writer,
      savedGraph: SavedGraph(file: mayWriteFolder ? file : nil, origin: origin))
    // Saved soon, so that a graph that took long to build is not built again after a kill; not before the service listens, because
    // writing a large one takes seconds.
    switch origin {
    case .built, .damaged:
      writer.later {
        loaded.saveGraph()
        HeapMemory.giveBack()
      }
    case .none, .saved: break
    }
    return loaded
  }

  func graphFile(_ id: Int64) -> GraphFile? {
    location.folder.map { GraphFile(in: $0, collection: id, progress: progress) }
  }

  // MARK: Collections

  /// Every collection, by name.
  public var all: [VectorCollection] {
    collections.withLock { Array($0.values) }.sorted { $0.name < $1.name }
  }

  public func collection(_ name: String) throws(StoreError) -> VectorCollection {
    guard let found = find(name) else { throw .unknownCollection(name) }
    return found
  }

  func find(_ name: String) -> VectorCollection? { collections.withLock { $0[name] } }

  /// Makes a collection, or finds the one that has this name.
  ///
  /// - Parameters:
  ///   - recallTarget: a setting, which is changed in an existing collection, too; `keep` leaves that as it is.
  ///   - completion: called once, on this thread or on the writer's, which it must not block: with the collection, once it is
  ///     durable, and whether it is new; or with ``StoreError/conflict(_:)`` when there is one of that name with another
  ///     dimension or metric.
  public func create(
    _ name: String, dimension: Int, metric: Metric = .cosine, recallTarget: RecallTargetChange = .keep,
    completion: @escaping @Sendable (Result<(collection: VectorCollection, created: Bool), StoreError>) -> Void
  ) {
    let again = { @Sendable in
      self.create(
        name, dimension: dimension, metric: metric, recallTarget: recallTarget, completion: completion)
    }
    if let existing = find(name) {
      guard existing.dimension == dimension, existing.metric == metric else {
        return completion(
          .failure(
            .conflict(
              "collection '\(name)' exists with dimension \(existing.dimension) and metric \(existing.metric.rawValue)")
          ))
      }
      return existing.change(recallTarget) { result in
        switch result {
        case .success: completion(.success((existing, false)))
        // It was dropped meanwhile.
        case .failure(.unknownCollection): again()
        case .failure(let error): completion(.failure(error))
        }
      }
    }
    var target: RecallTarget?
    if case .set(let wanted) = recallTarget { target = wanted }
    let change = RecordChange.create(name: name, dimension: dimension, metric: metric, recallTarget: target)
    writer.submit(
      Writer.Pending(change: .record(change), collection: nil) { [self] result in
        switch result {
        case .success(.created(let stored)): completion(.success((publish(stored), true)))
        case .success: preconditionFailure("a new collection is committed as one")
        // Another caller was first: the answer is about the collection that it made, perhaps on another replica.
        case .failure(.conflict) where find(name) != nil: again()
        case .failure(.conflict(let reason)):
          _ = look()
          if find(name) != nil { again() } else { completion(.failure(.conflict(reason))) }
        case .failure(let error): completion(.failure(error))
        }
      })
  }

  /// As ``create(_:dimension:metric:recallTarget:completion:)``, and blocks until the answer is there: for a start, never on a
  /// queue that serves requests.
  public func create(
    _ name: String, dimension: Int, metric: Metric = .cosine, recallTarget: RecallTargetChange = .keep
  ) throws(StoreError) -> (collection: VectorCollection, created: Bool) {
    let answer = AnswerSlot<(collection: VectorCollection, created: Bool)>()
    create(name, dimension: dimension, metric: metric, recallTarget: recallTarget) { answer.put($0) }
    return try answer.wait()
  }

  /// A collection that was committed becomes visible. On the writer's queue, before a later change runs.
  private func publish(_ stored: StoredCollection) -> VectorCollection {
    let index = VectorIndex(dimension: stored.dimension, metric: stored.metric, options: options)
    index.setRecallTarget(stored.recallTarget?.value)
    let snapshot = CollectionSnapshot(
      version: 0, model: nil, recallTarget: stored.recallTarget, vectors: index.snapshot)
    let made = VectorCollection(
      stored, epoch: firstEpoch + stored.id, index: index, snapshot: snapshot, writer: writer,
      savedGraph: SavedGraph(file: graphFile(stored.id)))
    collections.withLock { $0[stored.name] = made }
    return made
  }

  /// Deletes a collection and its points.
  ///
  /// - Parameter completion: called once that is durable, or with the error, as in
  ///   ``create(_:dimension:metric:recallTarget:completion:)``.
  public func delete(_ name: String, completion: @escaping @Sendable (Result<Void, StoreError>) -> Void) {
    guard let found = find(name) else { return completion(.failure(.unknownCollection(name))) }
    writer.submit(
      Writer.Pending(change: .record(.drop(collection: found.id)), collection: nil) { [self] result in
        switch result {
        case .success:
          collections.withLock { $0[name] = nil }
          graphFile(found.id)?.remove()
          completion(.success(()))
        // The records only know its number.
        case .failure(.unknownCollection): completion(.failure(.unknownCollection(name)))
        case .failure(let error): completion(.failure(error))
        }
      })
  }

  // MARK: Closing

  /// Finishes the writes that wait, saves the graphs and closes the records; later writes fail, reads go on.
  public func close() {
    let isFirst = !isClosed.exchange(true, ordering: .relaxed)
    contact.stop()
    writer.exclusively { [self] in
      if isFirst { for collection in all { collection.saveGraph() } }
      writer.records.close()
    }
  }

  /// Lets writes gather while `body` runs, so that they go into one transaction.
  package func holdingWrites(_ body: () -> Void) { writer.holding(body) }
}

/// Lets a caller wait for the answer that a completion receives.
package final class AnswerSlot<Value: Sendable>: Sendable {
  private let answer = Mutex<Result<Value, StoreError>?>(nil)
  private let arrived = DispatchSemaphore(value: 0)

  package init() {}

  package func put(_ result: Result<Value, StoreError>) {
    answer.withLock { $0 = result }
    arrived.signal()
  }

  /// Blocks until ``put(_:)`` has been called. To be called once.
  package func wait() throws(StoreError) -> Value {
    arrived.wait()
    guard let result = answer.withLock({ $0 }) else { preconditionFailure("an answer was put before it was signalled") }
    return try result.get()
  }
}
