import Platform
import Synchronization

/// The memory that bodies take: those that are being received, those of requests that are being handled, and answers that wait to be sent.
/// Any thread may use it.
///
/// Beyond the limit, reading stops on connections that are within a body, until others have finished. Small bodies are always read. Where
/// everything is held by bodies that are not whole, so that nothing would ever finish, one of them, the leader, is read to its end. So the
/// limit is exceeded by at most one body, by what small bodies take, and by what handlers make of a body; these are counted, too.
final class BodyMemory: Sendable {
  /// What the memory is for.
  enum Stage: Sendable {
    case receiving, handling, answering
  }

  /// What one exchange holds.
  fileprivate struct Held: Equatable {
    var stage = Stage.receiving
    var bytes = 0
    /// Its body was not small, and its handler is not done.
    var isLargeWork = false
  }

  private struct State {
    var total = 0
    var watch = MemoryWatch(from: 16 << 20)
    /// Requests that are being handled and whose bodies were not small: when they are done, there is room.
    var largeWork = 0
    var next: UInt64 = 0
    /// The body that is read although there is no room.
    var leader: UInt64?
    /// Bodies on which reading has stopped.
    var waiting: [(id: UInt64, resume: @Sendable () -> Void)] = []

    /// Takes those whose reading goes on.
    mutating func resumable(_ limit: Int) -> [@Sendable () -> Void] {
      guard !waiting.isEmpty else { return [] }
      if total < limit {
        defer { waiting.removeAll() }
        return waiting.map(\.resume)
      }
      guard leader == nil, largeWork == 0, let oldest = waiting.indices.min(by: { waiting[$0].id < waiting[$1].id })
      else { return [] }
      let next = waiting.remove(at: oldest)
      leader = next.id
      return [next.resume]
    }
  }

  /// Bytes of a body that are received whatever others hold.
  static let small = 65_536

  let limit: Int
  private let state = Mutex(State())

  init(limit: Int) {
    precondition(limit > 0, "without memory no body can be received")
    self.limit = limit
  }

  /// Bytes that are held now.
  var bytes: Int { state.withLock { $0.total } }

  /// Connections on which reading has stopped.
  var waiting: Int { state.withLock { $0.waiting.count } }

  /// Memory for one exchange, which is given back when it is released. It begins as that of a body that is being received.
  func hold() -> BodyHold {
    let id = state.withLock { state in
      defer { state.next &+= 1 }
      return state.next
    }
    return BodyHold(self, id)
  }

  /// Whether a body that holds so much may be read on. If not, `resume` is called once when it may, from any thread.
  fileprivate func mayRead(_ id: UInt64, _ bytes: Int, _ resume: @escaping @Sendable () -> Void) -> Bool {
    guard bytes >= Self.small else { return true }
    return state.withLock { state in
      if state.total < limit || state.leader == id { return true }
      if state.leader == nil, state.largeWork == 0, state.waiting.allSatisfy({ $0.id > id }) {
        state.leader = id
        return true
      }
      state.waiting.append((id, resume))
      return false
    }
  }

  fileprivate func change(_ id: UInt64, from old: Held, to new: Held?) {
    let resumable = state.withLock { state in
      state.total &+= (new?.bytes ?? 0) &- old.bytes
      state.watch.note(state.total)
      state.largeWork += (new?.isLargeWork == true ? 1 : 0) - (old.isLargeWork ? 1 : 0)
      if old.stage == .receiving, new?.stage != .receiving {
        if state.leader == id { state.leader = nil }
        if !state.waiting.isEmpty { state.waiting.removeAll { $0.id == id } }
      }
      return state.resumable(limit)
    }
    for resume in resumable { resume() }
  }
}

/// The memory of one exchange. It goes from the connection to the handler and back, and one thread at a time changes it.
final class BodyHold: Sendable {
  private let memory: BodyMemory
  private let id: UInt64
  private let held = Mutex(BodyMemory.Held())

  fileprivate init(_ memory: BodyMemory, _ id: UInt64) {
    self.memory = memory
    self.id = id
  }

  deinit { memory.change(id, from: held.withLock { $0 }, to: nil) }

  /// Whether the body may be read on. If not, `resume` is called once when it may, from any thread.
  func mayRead(_ resume: @escaping @Sendable () -> Void) -> Bool {
    memory.mayRead(id, held.withLock { $0.bytes }, resume)
  }

  /// From now on this much is held, for this.
  func set(_ stage: BodyMemory.Stage, _ bytes: Int) {
    let (old, new) = held.withLock { held in
      let old = held
      let isLarge = old.stage == .receiving ? bytes >= BodyMemory.small : old.isLargeWork
      held = BodyMemory.Held(stage: stage, bytes: bytes, isLargeWork: stage == .handling && isLarge)
      return (old, held)
    }
    if old != new { memory.change(id, from: old, to: new) }
  }

  /// So much more is held.
  func add(_ bytes: Int) {
    let now = held.withLock { $0 }
    set(now.stage, now.bytes &+ bytes)
  }
}
