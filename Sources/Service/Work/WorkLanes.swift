import Dispatch
import Platform
import Synchronization

/// Where requests are worked on: short work apart from long, so that the one need not wait for the other.
///
/// Each lane has as many queues as there are cores. When both have work, the system shares the cores between them: a text that
/// takes two milliseconds is done within a few, whatever the other lane is busy with.
final class WorkLanes: Sendable {
  /// Bodies of more bytes are read in the long lane.
  static let shortBody = 1 << 16
  /// Sequences of more tokens in all are encoded in the long lane.
  static let shortTokens = 512
  /// Products of more multiplications are made in the wide lane, where each has all cores to itself.
  static let shortProducts = 5e7

  let short: WorkQueues
  let long: WorkQueues
  private let wide: WideLane
  /// Seconds that work may be expected to wait; beyond that, more of it is refused.
  let patience: Double

  init(threads: Int, loops: Int = 1, patience: Double) {
    short = WorkQueues(count: threads, loops: loops)
    long = WorkQueues(count: threads, loops: loops)
    wide = WideLane()
    self.patience = patience
  }

  /// What waits in each lane.
  var waits: [(lane: String, meter: WaitMeter)] {
    [("short", short.waits), ("long", long.waits), ("wide", wide.waits)]
  }

  /// Seconds until the wide lane has done what it has now.
  var wideBacklog: Double { wide.backlog }

  /// The lane in which a body is read.
  func lane(bodyBytes: Int) -> WorkQueues { bodyBytes > Self.shortBody ? long : short }

  /// Hands over what was collected for an event loop.
  func flush(loop: Int) {
    short.flush(loop: loop)
    long.flush(loop: loop)
  }
}

extension WorkLanes {
  /// The share of the time until a deadline that may be planned for. What is taken in is then rarely too late, although the pace
  /// varies: under overload nearly all refusals come at once, and the queue is still never empty.
  private static let planned = 0.6

  /// Refuses work that would have to wait for too long, before anything is done for it.
  ///
  /// - Parameters:
  ///   - backlog: seconds until it could begin.
  ///   - own: seconds that it takes.
  /// - Throws: ``Problem``: 503 with `Retry-After`.
  func refuse(backlog: Double, own: Double, for call: Call) throws(Problem) {
    if let refusal = refusal(backlog: backlog, own: own, within: call.secondsLeft) { throw refusal }
  }

  /// Does work for a call in the wide lane, when it is its turn; what the work throws becomes the call's answer.
  ///
  /// - Throws: ``Problem`` when it would take too long.
  func submitWide(
    _ kind: WideLane.Kind, cost: Double, for call: Call, _ work: @escaping @Sendable () throws -> Void
  ) throws(Problem) {
    try refuse(backlog: wide.backlog, own: wide.seconds(kind, cost), for: call)
    wide.submit(kind, cost: cost, deadline: call.deadline) { isInTime in
      call.perform {
        guard isInTime else { throw call.dropped }
        try work()
      }
    }
  }

  /// - Parameter seconds: how long the client is willing to wait.
  func refusal(backlog: Double, own: Double, within seconds: Double) -> Problem? {
    let allowed = min(patience, seconds * Self.planned - own)
    guard backlog > allowed else { return nil }
    var problem = Problem(
      503,
      "the service is busy: what waits takes \(Self.rounded(backlog)) s, and this may wait for \(Self.rounded(max(0, allowed))) s",
      .overload)
    problem.retryAfter = max(1, Int(min(backlog - max(0, allowed), 3600).rounded(.up)))
    return problem
  }

  private static func rounded(_ seconds: Double) -> String { "\((min(seconds, 1e6) * 10).rounded() / 10)" }
}

/// Work that uses all cores by itself, one piece after another: the cheapest first, but none waits for ever.
package final class WideLane: Sendable {
  /// Work whose pieces cost alike.
  package enum Kind: Sendable {
    /// Products of losses; the cost is in multiplications.
    case products
    /// Searches of many queries; the cost is in queries.
    case queries
  }

  fileprivate struct Piece: Sendable {
    let meter: WorkMeter
    let cost: Double
    let rank: Double
    let deadline: UInt64
    let since: UInt64
    let run: @Sendable (_ isInTime: Bool) -> Void
  }

  fileprivate struct State {
    var waiting: [Piece] = []
    var isRunning = false
  }

  private let queue = DispatchQueue(label: "nearfar.wide", qos: .userInitiated)
  private let state = Mutex(State())
  let waits = WaitMeter()
  private let products = WorkMeter(rate: 2e10)
  private let queries = WorkMeter(rate: 10_000)

  package init() {}

  /// Seconds until everything that is here now is done.
  package var backlog: Double { products.backlog + queries.backlog }

  /// Seconds that a piece takes with nothing else to do.
  package func seconds(_ kind: Kind, _ cost: Double) -> Double { meter(kind).seconds(cost) }

  private func meter(_ kind: Kind) -> WorkMeter { kind == .products ? products : queries }

  /// - Parameters:
  ///   - deadline: monotonic nanoseconds by which the work has to be done to be of use.
  ///   - run: called once, in the lane; with false when there is no time left for the work.
  package func submit(
    _ kind: Kind, cost: Double, deadline: UInt64, run: @escaping @Sendable (_ isInTime: Bool) -> Void
  ) {
    let meter = meter(kind)
    meter.add(cost)
    // A piece that takes a second more has to be a second older.
    let now = SystemClock.monotonic
    let rank = Double(now) / 1e9 + meter.seconds(cost)
    let piece = Piece(meter: meter, cost: cost, rank: rank, deadline: deadline, since: now, run: run)
    waits.enter()
    let starts = state.withLock { state in
      state.waiting.append(piece)
      defer { state.isRunning = true }
      return !state.isRunning
    }
    if starts { queue.async { self.runNext() } }
  }

  private func runNext() {
    let (next, late) = state.withLock { $0.take() }
    for piece in late {
      piece.meter.remove(piece.cost)
      waits.leave(after: SystemClock.monotonic &- piece.since)
      piece.run(false)
    }
    guard let next else { return }
    let began = SystemClock.monotonic
    waits.leave(after: began &- next.since)
    next.run(true)
    next.meter.remove(next.cost)
    next.meter.measured(next.cost, seconds: Double(SystemClock.monotonic &- began) / 1e9)
    queue.async { self.runNext() }
  }
}

extension WideLane.State {
  /// Takes the piece that comes first, and those for which there is no time left.
  mutating func take() -> (next: WideLane.Piece?, late: [WideLane.Piece]) {
    var late: [WideLane.Piece] = []
    let now = SystemClock.monotonic
    for index in waiting.indices.reversed() {
      let piece = waiting[index]
      guard now &+ piece.meter.nanoseconds(piece.cost) > piece.deadline else { continue }
      late.append(waiting.remove(at: index))
    }
    guard let first = waiting.indices.min(by: { waiting[$0].rank < waiting[$1].rank }) else {
      isRunning = false
      return (nil, late)
    }
    return (waiting.remove(at: first), late)
  }
}
