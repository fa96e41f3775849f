import Dispatch
import Synchronization
import VectorStore

/// Versions that are kept for exports in several answers, so that all answers of an export have the same version.
///
/// A kept version costs the memory of what has changed since. It is dropped when it has not been used for a while, or when too
/// many are kept.
final class KeptSnapshots: Sendable {
  /// How long a version is kept after the answer that used it last, in nanoseconds.
  static let lifetime: UInt64 = 120 * 1_000_000_000
  static let most = 4

  private struct Kept {
    let snapshot: CollectionSnapshot
    /// Answers that are on their way.
    var users = 0
    var since: UInt64
  }

  /// An answer's hold on a version; the clock of the version starts when it is let go.
  final class Use: Sendable {
    let snapshot: CollectionSnapshot
    private let key: String
    private let owner: KeptSnapshots

    fileprivate init(_ snapshot: CollectionSnapshot, _ key: String, _ owner: KeptSnapshots) {
      self.snapshot = snapshot
      self.key = key
      self.owner = owner
    }

    deinit { owner.release(key) }
  }

  private let kept = Mutex<[String: Kept]>([:])
  private let now: @Sendable () -> UInt64
  private let timer = DispatchQueue(label: "nearfar.export.kept")

  /// - Parameter now: the time in nanoseconds.
  init(now: @escaping @Sendable () -> UInt64) { self.now = now }

  /// The key of a version. A collection that is deleted and made again gets other keys.
  static func key(_ collection: VectorCollection, _ snapshot: CollectionSnapshot) -> String {
    "\(collection.id)-\(snapshot.version)"
  }

  /// The kept version of that name; nil when there is none.
  func use(_ key: String) -> Use? {
    let time = now()
    return kept.withLock { kept in
      Self.prune(&kept, time)
      guard let found = kept[key] else { return nil }
      kept[key]?.users += 1
      return Use(found.snapshot, key, self)
    }
  }

  /// Keeps a version from now on.
  func keep(_ key: String, _ snapshot: CollectionSnapshot) -> Use {
    let time = now()
    return kept.withLock { kept in
      kept[key, default: Kept(snapshot: snapshot, since: time)].users += 1
      Self.prune(&kept, time)
      return Use(snapshot, key, self)
    }
  }

  /// How many are kept.
  var count: Int { kept.withLock { $0.count } }

  private func release(_ key: String) {
    let time = now()
    kept.withLock { kept in
      kept[key]?.users -= 1
      kept[key]?.since = time
    }
    // It is dropped in time even if nobody exports again.
    timer.asyncAfter(deadline: .now() + .nanoseconds(Int(Self.lifetime) + 1_000_000_000)) { [weak self] in
      guard let self else { return }
      let time = now()
      kept.withLock { Self.prune(&$0, time) }
    }
  }

  /// Drops versions whose time is over, and the oldest where there are too many.
  private static func prune(_ kept: inout [String: Kept], _ time: UInt64) {
    for (key, entry) in kept where entry.users == 0 && time &- entry.since > lifetime { kept[key] = nil }
    let idle = kept.filter { $0.value.users == 0 }.sorted { $0.value.since < $1.value.since }
    for entry in idle.prefix(max(0, kept.count - most)) { kept[entry.key] = nil }
  }
}
