import HTTP1
import Platform
import Synchronization

/// What a loop shares with other threads.
final class LoopLink: Sendable {
  let wakeup: Wakeup
  let mailbox: Mailbox
  let counters = Counters()
  /// Connections that the loop was given since the start. Only the first loop writes it.
  fileprivate let placed = Atomic(0)
  /// Nothing is in flight. Of use only while the server drains, and written only by the loop.
  fileprivate let isSettled = Atomic(false)
  fileprivate let hasEnded = Atomic(false)

  init() throws(ServerError) {
    wakeup = try Wakeup()
    mailbox = Mailbox(wakeup: wakeup)
  }

  /// Connections that the loop has open, or that are on their way to it.
  var connectionsOpen: Int {
    placed.load(ordering: .relaxed) &- counters.connectionsClosed.load(ordering: .relaxed)
  }
}

/// The loops of one server as they see each other.
///
/// The first loop accepts every connection and gives it to the loop with the fewest, which keeps it to its end. So the number
/// of connections is known where it is limited, and a limit needs no lock. The first loop is also the last to end: while the
/// server drains it keeps what it accepts to itself, and it waits for the others before it looks at the listener for the
/// last time.
final class LoopGroup: Sendable {
  private enum Phase: Int {
    case serving
    /// `drain` was called.
    case asked
    /// The first loop gives no connection away any more, so that the others can drain.
    case draining
    /// Nothing was in flight in any loop. Each serves what has reached the kernel by then, and ends.
    case ending
  }

  let links: [LoopLink]
  /// Connections of each client; nil where they are not limited.
  let shares: Shares<IPAddress>?
  /// The memory of bodies.
  let memory: BodyMemory
  private let lastPlaced: Atomic<Int>
  private let phase = Atomic(Phase.serving.rawValue)
  /// The first failure of a loop, and whether a loop had to cut requests off.
  private let outcome = Mutex<(failure: ServerError?, isComplete: Bool)>((nil, true))

  /// - Throws: when the system has no descriptors left.
  init(_ configuration: ServerConfiguration) throws(ServerError) {
    let limit = configuration.maxConnectionsPerClient
    shares = limit > 0 ? Shares(limit: limit) : nil
    memory = BodyMemory(limit: configuration.maxMemoryInFlight)
    var links: [LoopLink] = []
    for _ in 0..<max(1, configuration.loops) { links.append(try LoopLink()) }
    self.links = links
    lastPlaced = Atomic(links.count - 1)
  }

  private var others: ArraySlice<LoopLink> { links.dropFirst() }

  /// Connections of all loops.
  var connectionsOpen: Int { links.reduce(0) { $0 &+ $1.connectionsOpen } }

  /// The part of a limit that is a loop's own. The parts together are the limit.
  func part(of limit: Int, _ index: Int) -> Int {
    let (part, rest) = limit.quotientAndRemainder(dividingBy: links.count)
    return index < rest ? part + 1 : part
  }

  /// Decides which loop gets the next connection: the one with the fewest, and of equals each in turn. Only the first loop
  /// calls this.
  func place() -> Int {
    var (index, fewest) = (0, Int.max)
    let last = lastPlaced.load(ordering: .relaxed)
    // The others end before the first loop, which serves what comes last.
    if !isIn(.draining) {
      for step in links.indices {
        let candidate = (last &+ 1 &+ step) % links.count
        guard !links[candidate].hasEnded.load(ordering: .acquiring) else { continue }
        let open = links[candidate].connectionsOpen
        if open < fewest { (index, fewest) = (candidate, open) }
      }
    }
    lastPlaced.store(index, ordering: .relaxed)
    links[index].placed.add(1)
    return index
  }

  /// Any thread may call this.
  func drain() {
    enter(.asked)
    links[0].wakeup.signal()
  }

  func mustDrain(_ index: Int) -> Bool { isIn(index == 0 ? .asked : .draining) }

  /// The first loop gives no connection away any more.
  func beginDraining() {
    enter(.draining)
    for link in others { link.wakeup.signal() }
  }

  /// Whether a loop may end once it finds nothing more to do.
  ///
  /// - Parameter isSettled: nothing is in flight in this loop.
  func mayEnd(_ index: Int, isSettled: Bool) -> Bool {
    let link = links[index]
    let wasSettled = link.isSettled.load(ordering: .relaxed)
    link.isSettled.store(isSettled, ordering: .releasing)
    guard index == 0 else {
      if isSettled, !wasSettled { links[0].wakeup.signal() }
      return isIn(.ending)
    }
    if !isIn(.ending), links.allSatisfy({ $0.isSettled.load(ordering: .acquiring) }) {
      enter(.ending)
      for link in others { link.wakeup.signal() }
    }
    return others.allSatisfy { $0.hasEnded.load(ordering: .acquiring) }
  }

  /// A loop has ended, by itself or by a failure. After a failure the others finish what they have.
  func end(_ index: Int, _ result: Result<Bool, ServerError>) {
    outcome.withLock { outcome in
      switch result {
      case .success(let isComplete): outcome.isComplete = outcome.isComplete && isComplete
      case .failure(let failure): outcome.failure = outcome.failure ?? failure
      }
    }
    let link = links[index]
    link.isSettled.store(true, ordering: .releasing)
    link.hasEnded.store(true, ordering: .releasing)
    if index == 0 {
      enter(.ending)
      for link in others { link.wakeup.signal() }
    } else if case .failure = result {
      drain()
    } else {
      links[0].wakeup.signal()
    }
  }

  /// Whether everything in flight was finished. To be called when all loops have ended.
  ///
  /// - Throws: the first failure of a loop.
  func result() throws(ServerError) -> Bool {
    for link in links { link.refuseArrivals() }
    let (failure, isComplete) = outcome.withLock { $0 }
    if let failure { throw failure }
    return isComplete
  }

  /// Phases only follow each other.
  private func enter(_ next: Phase) { phase.max(next.rawValue, ordering: .acquiringAndReleasing) }

  private func isIn(_ least: Phase) -> Bool { phase.load(ordering: .acquiring) >= least.rawValue }
}

extension LoopLink {
  /// Closes the connections that were on their way to a loop that has failed.
  fileprivate func refuseArrivals() {
    var (replies, arrivals): ([Reply], [Arrival]) = ([], [])
    mailbox.take(&replies, &arrivals)
    for arrival in arrivals {
      systemClose(arrival.descriptor)
      counters.connectionsRejected.add(1)
      counters.connectionsClosed.add(1)
    }
  }
}
