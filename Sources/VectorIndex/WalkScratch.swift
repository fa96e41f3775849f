import SimilarityCore
import Synchronization

/// The memory of one walk over a graph, which is used again by later walks.
// SAFETY: one walk uses it at a time, since the pool below gives it to one caller only.
final class WalkScratch: @unchecked Sendable {
  /// A bit for every slot that the walk has met; all zero between walks.
  private(set) var visited: UnsafeMutablePointer<UInt64>
  /// A bit for every slot whose list the walk has read; all zero between walks.
  private(set) var expanded: UnsafeMutablePointer<UInt64>
  private var words: Int
  /// Every slot that the walk has met, and its key.
  private(set) var seen: UnsafeMutablePointer<UInt32>
  private(set) var seenKeys: UnsafeMutablePointer<Float>
  private var seenRoom: Int
  /// The pool: the best candidates so far, best first. The top bit of a slot is set when its list has been read.
  private(set) var slots: UnsafeMutablePointer<UInt32>
  private(set) var keys: UnsafeMutablePointer<Float>
  private var poolRoom: Int

  init() {
    words = 1
    seenRoom = 1
    poolRoom = 0
    visited = .allocate(capacity: 1)
    visited.initialize(to: 0)
    expanded = .allocate(capacity: 1)
    expanded.initialize(to: 0)
    seen = .allocate(capacity: 1)
    seenKeys = .allocate(capacity: 1)
    slots = .allocate(capacity: 1)
    keys = .allocate(capacity: 1)
  }

  deinit {
    visited.deallocate()
    expanded.deallocate()
    seen.deallocate()
    seenKeys.deallocate()
    slots.deallocate()
    keys.deallocate()
  }

  /// Makes room for a graph of `count` slots, a pool of `room` places, and `step` slots that are met at once.
  func prepare(count: Int, room: Int, step: Int) {
    if words * 64 < count {
      visited.deallocate()
      expanded.deallocate()
      words = (count + 63) / 64 * 2
      visited = .allocate(capacity: words)
      visited.initialize(repeating: 0, count: words)
      expanded = .allocate(capacity: words)
      expanded.initialize(repeating: 0, count: words)
    }
    emptyPool(room: room)
    reserveSeen(4 * step, keeping: 0)
  }

  /// Empties the pool and gives it `room` places.
  func emptyPool(room: Int) {
    if poolRoom < room {
      slots.deallocate()
      keys.deallocate()
      poolRoom = 2 * room
      slots = .allocate(capacity: poolRoom + CandidatePool.slack)
      keys = .allocate(capacity: poolRoom + CandidatePool.slack)
    }
    keys.update(repeating: -.infinity, count: room + CandidatePool.slack)
  }

  /// Makes room for `count` met slots and keeps the first `kept`.
  func reserveSeen(_ count: Int, keeping kept: Int) {
    guard seenRoom < count else { return }
    let room = 2 * count
    let (newSeen, newKeys) = (
      UnsafeMutablePointer<UInt32>.allocate(capacity: room), UnsafeMutablePointer<Float>.allocate(capacity: room)
    )
    newSeen.update(from: seen, count: kept)
    newKeys.update(from: seenKeys, count: kept)
    seen.deallocate()
    seenKeys.deallocate()
    (seen, seenKeys, seenRoom) = (newSeen, newKeys, room)
  }

  /// Clears the bits of a walk that met `count` slots.
  func clear(_ count: Int) {
    for index in 0..<count {
      visited[Int(seen[index] / 64)] = 0
      expanded[Int(seen[index] / 64)] = 0
    }
  }
}

/// The scratches that no walk is using.
final class WalkScratchPool: Sendable {
  private let idle = Mutex<[WalkScratch]>([])

  func with<Result>(_ body: (WalkScratch) -> Result) -> Result {
    let scratch = idle.withLock { $0.popLast() } ?? WalkScratch()
    defer { idle.withLock { $0.append(scratch) } }
    return body(scratch)
  }
}
