import Dispatch
import Platform
import Synchronization

/// When a store last saw its shared records whole, and what it tries again and when.
final class Contact: Sendable {
  private struct State {
    var last: UInt64 = SystemClock.monotonic
    var isStopped = false
    /// Collections that could not be loaded, by their numbers.
    var failedLoads: [Int64: FailedLoad] = [:]
    /// Those who wait for the next look.
    var asking: [@Sendable (StoreError?) -> Void] = []
  }

  private struct FailedLoad {
    let failure: StoreError
    /// Nanoseconds until the next attempt, which begins at a monotonic time.
    let pause: UInt64
    let next: UInt64
  }

  private static let longestPause = SystemClock.nanoseconds(10)

  private let state = Mutex(State())

  /// Why a collection could not be loaded, while it is too early for another attempt; nil otherwise.
  func postponed(_ id: Int64) -> StoreError? {
    let failed = state.withLock { $0.failedLoads[id] }
    return failed.flatMap { SystemClock.monotonic < $0.next ? $0.failure : nil }
  }

  /// Notes that a collection could not be loaded, or with nil that it was. The pauses between attempts become longer: reading a large
  /// collection whole is much work for the database, and meanwhile nothing else is followed or written here.
  func noteLoad(_ id: Int64, _ failure: StoreError?) {
    state.withLock { state in
      let pause = min(Self.longestPause, 2 * (state.failedLoads[id]?.pause ?? SystemClock.nanoseconds(0.25)))
      state.failedLoads[id] = failure.map {
        FailedLoad(failure: $0, pause: pause, next: SystemClock.monotonic + pause)
      }
    }
  }

  /// Forgets failures of collections that have been dropped.
  func keepLoads(of ids: Set<Int64>) {
    state.withLock { state in
      if !state.failedLoads.isEmpty { state.failedLoads = state.failedLoads.filter { ids.contains($0.key) } }
    }
  }

  /// The records have just been seen whole.
  func noteSeen() { state.withLock { $0.last = SystemClock.monotonic } }

  /// - Returns: whether a look has to be begun for it; otherwise one is about to begin.
  func ask(_ completion: @escaping @Sendable (StoreError?) -> Void) -> Bool {
    state.withLock { state in
      state.asking.append(completion)
      return state.asking.count == 1
    }
  }

  func takeAsking() -> [@Sendable (StoreError?) -> Void] {
    state.withLock { state in
      defer { state.asking = [] }
      return state.asking
    }
  }

  func stop() { state.withLock { $0.isStopped = true } }

  var isStopped: Bool { state.withLock { $0.isStopped } }

  /// Seconds since the records were last seen whole.
  var age: Double {
    let last = state.withLock { $0.last }
    let now = SystemClock.monotonic
    // Another thread may have seen them since.
    return now > last ? Double(now - last) / 1e9 : 0
  }
}

/// Follows what other replicas write to shared records.
extension CollectionStore {
  /// The longest time without a look at the records, because hints may be lost.
  private static let secondsPerLook = 0.25

  /// Whether other replicas may write to the records.
  public var isShared: Bool { sharedRecords != nil }

  /// Seconds since what is in memory was known to be all that is stored; 0 where no other process writes to the records.
  public var staleSeconds: Double {
    guard isShared else { return 0 }
    let seconds = contact.age
    return seconds < 2 * Self.secondsPerLook ? 0 : seconds
  }

  /// Follows the records on a thread of its own until the store is closed. Nothing happens where no other process writes to them.
  package func startFollowing() {
    guard let records = sharedRecords else { return }
    let thread = DispatchQueue(label: "nearfar.store.follower", qos: .userInitiated)
    thread.async { [weak self] in
      while let store = self, !store.contact.isStopped {
        _ = records.waitForHint(seconds: Self.secondsPerLook)
        store.follow()
      }
    }
  }

  /// Takes over everything that the records have now, between two commits of this process, and waits until that is done.
  @discardableResult package func follow() -> StoreError? {
    writer.exclusively { look() }
  }

  /// As ``follow()``, on the writer's queue.
  func look() -> StoreError? {
    guard let records = sharedRecords, !contact.isStopped else { return nil }
    var failure = take(from: records)
    for follower in others.withLock({ $0 }) { failure = failure ?? follower.look() }
    if failure == nil { contact.noteSeen() }
    writer.versions.check()
    return failure
  }

  private func take(from records: any SharedRecords) -> StoreError? {
    let stored: [StoredCollection]
    do throws(StoreError) { stored = try records.collections() } catch { return error }
    let held = collections.withLock { $0 }
    contact.keepLoads(of: Set(stored.map(\.id)))
    let names = Set(stored.map(\.name))
    for (name, collection) in held where !names.contains(name) { drop(name, collection) }
    var failure: StoreError?
    for row in stored {
      guard let collection = held[row.name] else {
        failure = loadAnew(row, replacing: nil) ?? failure
        continue
      }
      // Dropped and made again meanwhile.
      guard collection.id == row.id else {
        drop(row.name, collection)
        failure = loadAnew(row, replacing: nil) ?? failure
        continue
      }
      failure = update(collection, to: row, records) ?? failure
    }
    return failure
  }

  private func update(
    _ collection: VectorCollection, to row: StoredCollection, _ records: any SharedRecords
  ) -> StoreError? {
    if row.recallTarget != collection.snapshot.ownRecallTarget {
      var changing = collection.beginChange()
      changing.follow(recallTarget: row.recallTarget)
      changing.publish()
    }
    let snapshot = collection.snapshot
    if collection.stale == nil, row.version == snapshot.version, row.digest == snapshot.digest { return nil }
    guard collection.stale == nil, row.version > snapshot.version else { return loadAnew(row, replacing: collection) }
    switch Following.catchUp(collection, records) {
    case .current: return nil
    case .delayed(let error): return error
    case .dropped:
      drop(row.name, collection)
      return nil
    case .diverged: return loadAnew(row, replacing: collection)
    }
  }

  /// Loads a collection that is new here, or that could not be followed.
  private func loadAnew(_ row: StoredCollection, replacing old: VectorCollection?) -> StoreError? {
    if let failure = contact.postponed(row.id) { return failure }
    if old != nil { progress("collection '\(row.name)' is loaded anew, because it could not be followed") }
    do throws(OpenError) {
      let loaded = try load(row)
      collections.withLock { $0[row.name] = loaded }
      old?.retire()
      contact.noteLoad(row.id, nil)
      return nil
    } catch {
      if error.cause == .gone { return nil }
      let failure = StoreError.unavailable("\(error)")
      // A database that is away for a moment is another matter.
      if error.cause != .unusable {
        contact.noteLoad(row.id, failure)
        progress("\(error)")
      }
      return failure
    }
  }

  private func drop(_ name: String, _ collection: VectorCollection) {
    collections.withLock { held in
      if held[name] === collection { held[name] = nil }
    }
    graphFile(collection.id)?.remove()
  }
}
