import CKernels
import Dispatch
import Platform
import Synchronization

/// Threads that share one job of many short steps, each of some microseconds: what a ``ParallelLoop`` takes to begin would be a
/// large part of a step. One job has the crew at a time; while it lasts, the threads spin between its steps.
///
/// Nothing waits for a thread of the crew to appear: the job's own thread takes pieces as well, and does all of them where the
/// others are late.
public final class Crew: Sendable {
  private let queues: [DispatchQueue]
  private let isTaken = Atomic(false)

  /// - Parameter threads: the threads of a job, including its own.
  public init(threads: Int) {
    queues = (1..<max(1, threads)).map { DispatchQueue(label: "nearfar.crew.\($0)", qos: .userInitiated) }
    isTaken.store(threads < 2, ordering: .relaxed)
  }

  /// No other threads.
  public static let alone = Crew(threads: 1)

  /// The threads of a job, including its own.
  public var threads: Int { queues.count + 1 }

  /// Calls `body` with the crew at work, or with nil where another job has it.
  public func work<Result, Failure: Error>(_ body: (Team?) throws(Failure) -> Result) throws(Failure) -> Result {
    guard !isTaken.exchange(true, ordering: .acquiring) else { return try body(nil) }
    let team = Team(workers: threads)
    for (index, queue) in queues.enumerated() { queue.async { team.join(as: index + 1) } }
    defer {
      team.end()
      isTaken.store(false, ordering: .releasing)
    }
    return try body(team)
  }
}

/// A crew at work on one job.
// SAFETY: `step` is written by the job's thread while no piece is under way, and read by who has taken a piece of it: the atomic
// word, which is written behind it and changed by taking a piece, orders the two.
public final class Team: @unchecked Sendable {
  /// The threads of the job.
  public let workers: Int
  /// From the highest bit on: the number of the step (24 bits), its pieces and those that have been taken (20 bits each).
  private let word = Atomic<UInt64>(0)
  private let finished = Atomic(0)
  private let isOver = Atomic(false)
  private var step: (_ piece: Int, _ worker: Int) -> Void = { _, _ in }

  private static let most: UInt64 = 1 << 20 - 1
  /// Rounds of waiting before a thread lets others run, some tens of microseconds.
  private static let patience = 2000

  fileprivate init(workers: Int) {
    self.workers = workers
  }

  /// Calls `body` with each of 0 ..< count and the number of the thread it runs on, which is below ``workers``, and waits for all
  /// calls. To be called by the job's thread.
  public func forEachPiece(_ count: Int, _ body: @escaping (_ piece: Int, _ worker: Int) -> Void) {
    precondition((0..<Int(Self.most)).contains(count), "\(count) pieces")
    step = body
    finished.store(0, ordering: .relaxed)
    let number = (word.load(ordering: .relaxed) >> 40 + 1) & 0xff_ffff
    word.store(number << 40 | UInt64(count) << 20, ordering: .releasing)
    while let piece = take() {
      body(piece, 0)
      finished.add(1, ordering: .relaxed)
    }
    var rounds = 0
    while finished.load(ordering: .acquiring) < count { Self.wait(&rounds) }
  }

  /// Calls `body` with parts of 0 ..< count and the number of the thread, as ``forEachPiece(_:_:)`` does: two parts for each
  /// thread, so that one that comes late finds some left. Without a team the whole is one part.
  public static func forEachPart(
    of count: Int, _ team: Team?, _ body: @escaping (_ part: Range<Int>, _ worker: Int) -> Void
  ) {
    guard let team else { return body(0..<count, 0) }
    let size = max(1, (count + 2 * team.workers - 1) / (2 * team.workers))
    team.forEachPiece((count + size - 1) / size) { piece, worker in
      body(piece * size..<min(count, (piece + 1) * size), worker)
    }
  }

  /// Takes pieces of all steps until the job ends.
  fileprivate func join(as worker: Int) {
    var rounds = 0
    while !isOver.load(ordering: .relaxed) {
      guard let piece = take() else {
        Self.wait(&rounds)
        continue
      }
      step(piece, worker)
      finished.add(1, ordering: .releasing)
      rounds = 0
    }
  }

  fileprivate func end() { isOver.store(true, ordering: .relaxed) }

  /// A piece of the present step that nobody has taken.
  private func take() -> Int? {
    var found = word.load(ordering: .acquiring)
    while true {
      let (next, count) = (found & Self.most, found >> 20 & Self.most)
      guard next < count else { return nil }
      let (exchanged, original) = word.compareExchange(
        expected: found, desired: found + 1, ordering: .acquiringAndReleasing)
      if exchanged { return Int(next) }
      found = original
    }
  }

  private static func wait(_ rounds: inout Int) {
    rounds += 1
    if rounds < patience { nf_pause() } else { sched_yield() }
  }
}
