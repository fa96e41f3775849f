import Dispatch
import Platform
import Synchronization

/// What a look at shared records could not take over.
struct Look: Sendable {
  /// Why the records could not be asked at all.
  var failure: StoreError?
  /// Why a collection is not here as it is stored, by its name.
  var collections: [String: StoreError] = [:]
  /// The same of what is followed beside collections.
  var others: StoreError?

  /// - Parameter name: of a collection; nil for all that is stored.
  func failure(of name: String?) -> StoreError? {
    if let failure { return failure }
    if let name { return collections[name] }
    return collections.min { $0.key < $1.key }?.value ?? others
  }
}

/// When a store last saw its shared records, and what it tries again and when.
final class Contact: Sendable {
  private struct State {
    /// When they were last seen, in monotonic nanoseconds.
    var last: UInt64 = SystemClock.monotonic
    /// The same of collections that could not be followed since.
    var behind: [String: UInt64] = [:]
    var isStopped = false
    /// Collections that could not be loaded, by their numbers.
    var failedLoads: [Int64: FailedLoad] = [:]
    /// Those who wait for the next look.
    var asking: [@Sendable (Look) -> Void] = []
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

  /// The records have just been seen, except for the collections of those names.
  func noteSeen(except names: some Collection<String>) {
    state.withLock { state in
      let (last, behind) = (state.last, state.behind)
      state.behind = Dictionary(uniqueKeysWithValues: names.map { ($0, behind[$0] ?? last) })
      state.last = SystemClock.monotonic
    }
  }

  /// - Returns: whether a look has to be begun for it; otherwise one is about to begin.
  func ask(_ completion: @escaping @Sendable (Look) -> Void) -> Bool {
    state.withLock { state in
      state.asking.append(completion)
      return state.asking.count == 1
    }
  }

  func takeAsking() -> [@Sendable (Look) -> Void] {
    state.withLock { state in
      defer { state.asking = [] }
      return state.asking
    }
  }

  func stop() { state.withLock { $0.isStopped = true } }

  var isStopped: Bool { state.withLock { $0.isStopped } }

  /// Seconds since a collection was last seen, or with nil since all of the records were.
  func age(of name: String?) -> Double {
    let last = state.withLock { state in
      name.map { state.behind[$0] ?? state.last } ?? state.behind.values.reduce(state.last, min)
    }
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
  ///
  /// - Parameter name: of a collection; nil for all of them.
  public func staleSeconds(of name: String?) -> Double {
    guard isShared else { return 0 }
    let seconds = contact.age(of: name)
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
    DispatchQueue.global(qos: .utility).async { [weak self] in
      guard let missing = records.missingHints(), let store = self, !store.contact.isStopped else { return }
      store.progress(missing)
    }
  }

  /// Takes over everything that the records have now, between two commits of this process, and waits until that is done.
  @discardableResult package func follow() -> StoreError? {
    writer.exclusively { look() }.failure(of: nil)
  }

  /// As ``follow()``, on the writer's queue.
  func look() -> Look {
    guard let records = sharedRecords, !contact.isStopped else { return Look() }
    var look = take(from: records)
    // Records that cannot be asked are not asked again.
    if look.failure == nil {
      for follower in others.withLock({ $0 }) { look.others = follower.look() ?? look.others }
      if look.others == nil { contact.noteSeen(except: look.collections.keys) }
    }
    writer.versions.check()
    return look
  }

  private func take(from records: any SharedRecords) -> Look {
    let stored: [StoredCollection]
    do throws(StoreError) { stored = try records.collections() } catch { return Look(failure: error) }
    let held = collections.withLock { $0 }
    contact.keepLoads(of: Set(stored.map(\.id)))
    let names = Set(stored.map(\.name))
    for (name, collection) in held where !names.contains(name) { drop(name, collection) }
    var look = Look()
    for row in stored {
      if let collection = held[row.name] {
        if collection.id == row.id {
          look.collections[row.name] = update(collection, to: row, records)
          continue
        }
        // Dropped and made again meanwhile.
        drop(row.name, collection)
      }
      look.collections[row.name] = loadAnew(row, replacing: nil)
    }
    return look
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
