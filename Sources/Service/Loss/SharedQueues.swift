import Contrastive
import Dispatch
import HTTP1
import Platform
import SimilarityCore
import VectorStore

/// Durable queues: their rows are in the database that the replicas share, and each replica appends them in the order that the
/// database has given them, so that all have the same queue at the same version.
final class SharedQueues: Follower {
  private let store: CollectionStore
  private let records: any QueueRecords
  private let registry: QueueRegistry

  /// What follows the name's kind in tokens of versions, where queues stand beside collections.
  static let prefix = "queues/"

  /// - Returns: nil where no other replica shares the records.
  init?(_ store: CollectionStore, _ registry: QueueRegistry) {
    guard let records = store.sharedRecords as? any QueueRecords else { return nil }
    self.store = store
    self.records = records
    self.registry = registry
  }

  // MARK: Following, on the writer's queue

  func look() -> StoreError? {
    let stored: [StoredQueue]
    do throws(StoreError) { stored = try records.queues() } catch { return error }
    var failure: StoreError?
    for queue in stored {
      do throws(StoreError) { try follow(queue) } catch { failure = error }
    }
    let ids = Set(stored.map(\.id))
    for queue in registry.all {
      if let id = queue.shared, !ids.contains(id) { registry.remove(queue) }
    }
    return failure
  }

  func standing(_ name: String) -> VersionToken? {
    guard name.hasPrefix(Self.prefix), let queue = registry.find(String(name.dropFirst(Self.prefix.count))) else {
      return nil
    }
    return queue.token
  }

  /// Brings a queue to the version that the records have, or makes it.
  private func follow(_ stored: StoredQueue) throws(StoreError) {
    if let here = registry.find(stored.name), here.shared == stored.id {
      let (version, digest) = here.progress
      if version == stored.version, digest == stored.digest { return }
      if version < stored.version, try catchUp(here, after: version, digest) { return }
    }
    // It is new here, or the database has gone back to an earlier state and on from there.
    try load(stored)
  }

  /// - Returns: false when the batches do not go on where the queue is.
  private func catchUp(_ queue: ServedQueue, after version: Int, _ digest: Int64) throws(StoreError) -> Bool {
    guard let id = queue.shared else { return false }
    var fits = true
    var last = version
    do throws(StoreError) {
      _ = try records.readQueue(id, after: version) { batch in
        fits = fits && batch.version == last + 1 && records.follows(queue.progress.digest, batch)
        guard fits else { return }
        last = batch.version
        queue.apply(batch)
      }
    } catch StoreError.unknownCollection {
      // It has been dropped since the list was read; the next look removes it.
      return true
    }
    return fits
  }

  private func load(_ stored: StoredQueue) throws(StoreError) {
    let made = ServedQueue(stored, work: registry.work)
    var fits = true
    do throws(StoreError) {
      let whole = try records.readQueue(stored.id, after: 0) { batch in
        let (version, digest) = made.progress
        fits = fits && (version == 0 || batch.version == version + 1 && records.follows(digest, batch))
        if fits { made.apply(batch) }
      }
      // The database may have gone back to an earlier state while it was read. The newest batch is always held.
      guard fits, made.progress == (whole.version, whole.digest) else {
        throw .unavailable("queue '\(stored.name)' has changed while it was read")
      }
    } catch StoreError.unknownCollection {
      return
    }
    registry.install(made)
  }

  /// Runs `body` at once, or after the database has been asked for a queue that is not known here.
  func whenKnown(_ name: String, _ call: Call, _ body: @escaping @Sendable () throws -> Void) rethrows {
    try call.read(.eventual, store, of: registry.find(name) == nil ? Self.prefix + name : nil, body)
  }

  // MARK: Changing

  /// Makes a queue, or finds the one of that name; the completion is called on the writer's queue.
  func create(
    _ name: String, capacity: Int, dimension: Int,
    completion: @escaping @Sendable (Result<(queue: ServedQueue, created: Bool), Problem>) -> Void
  ) {
    store.betweenCommits { [self] in
      do throws(StoreError) {
        let (stored, created) = try records.makeQueue(
          name, capacity: capacity, dimension: dimension, most: QueueRegistry.mostQueues,
          mostValues: QueueRegistry.mostValues)
        try follow(stored)
        guard let queue = registry.find(name), queue.shared == stored.id else {
          return completion(.failure(QueueRegistry.unknown(name)))
        }
        completion(Result { () throws(Problem) in (try queue.checked(capacity, dimension), created) })
      } catch {
        completion(.failure(error == .full ? QueueRegistry.noRoom : Problem(describing: error)))
      }
    }
  }

  func drop(_ queue: ServedQueue, _ id: Int64, completion: @escaping @Sendable (Problem?) -> Void) {
    store.betweenCommits { [self] in
      do throws(StoreError) {
        try records.dropQueue(id)
        registry.remove(queue)
        completion(nil)
      } catch {
        completion(Self.problem(error, queue))
      }
    }
  }

  /// Appends the keys of a batch, and stores the answer with the client's key. When this key is known already, nothing is appended,
  /// and the answer is the first one.
  ///
  /// - Parameter completion: called on the writer's queue: with the version that has the keys, and the answer.
  func append(
    _ keys: Matrix, to queue: ServedQueue, _ id: Int64, key: ChangeKey?, answer: Response,
    completion: @escaping @Sendable (Result<(version: Int, answer: Response), Problem>) -> Void
  ) {
    let values = Array(keys.values.suffix(min(keys.rows, queue.capacity) * keys.columns))
    let kept = key == nil ? nil : StoredAnswer.encode(answer)
    append(
      values, rows: keys.rows, to: queue, id, key, kept, answer, since: SystemClock.monotonic, completion: completion)
  }

  private func append(
    _ values: [Float], rows: Int, to queue: ServedQueue, _ id: Int64, _ key: ChangeKey?, _ kept: [UInt8]?,
    _ answer: Response, since: UInt64,
    completion: @escaping @Sendable (Result<(version: Int, answer: Response), Problem>) -> Void
  ) {
    store.betweenCommits { [self] in
      do throws(StoreError) {
        let outcome = try records.append(rows: rows, values, to: id, key: key, answer: kept)
        switch outcome {
        case .done(let version):
          arrive(queue, version)
          completion(.success((version, answer)))
        case .repeated(let version, let first):
          arrive(queue, version)
          completion(.success((version, StoredAnswer.decode(first))))
        }
      } catch {
        guard error == .busy, SystemClock.monotonic &- since < SystemClock.nanoseconds(Self.patience) else {
          return completion(.failure(Self.problem(error, queue)))
        }
        // Another replica holds the queue: others have their turn here, and then it is tried again.
        DispatchQueue.global().asyncAfter(deadline: .now() + Self.pause) { [self] in
          append(values, rows: rows, to: queue, id, key, kept, answer, since: since, completion: completion)
        }
      }
    }
  }

  /// Seconds for which an append is tried again, and the pause between two attempts.
  private static let patience = 10.0
  private static let pause = 0.02

  /// Takes over what was appended up to a version. When that fails the next look does it; whoever has the version's token waits.
  private func arrive(_ queue: ServedQueue, _ version: Int) {
    let (here, digest) = queue.progress
    guard here < version else { return }
    _ = try? catchUp(queue, after: here, digest)
  }

  private static func problem(_ error: StoreError, _ queue: ServedQueue) -> Problem {
    if case .unknownCollection = error { return QueueRegistry.unknown(queue.name) }
    return Problem(describing: error)
  }
}

/// The answer to a request as it stands beside its Idempotency-Key in the database: a byte for the format, then the body.
private enum StoredAnswer {
  /// Longer answers are not kept; a repetition then learns that the request was carried out.
  private static let mostBytes = 1 << 20

  static func encode(_ answer: Response) -> [UInt8] {
    guard answer.stream == nil, answer.body.count < mostBytes else { return [] }
    let isBinary = answer.fields["content-type"] == MediaType.safetensors.rawValue
    return [isBinary ? 1 : 0] + answer.body
  }

  static func decode(_ stored: [UInt8]?) -> Response {
    guard let stored, let kind = stored.first else {
      return Problem(
        409, "the request was carried out; its answer is too large to be kept", param: "Idempotency-Key"
      ).response(.native)
    }
    return Response(kind == 1 ? .safetensors : .json, Array(stored.dropFirst()))
  }
}
