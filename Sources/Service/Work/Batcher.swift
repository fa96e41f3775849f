import Platform
import SentenceEncoder
import SimilarityCore
import Synchronization

/// Packs the texts of concurrent requests into batches by token budget and runs them on the work queues.
///
/// Requests take turns: one that needs many batches goes to the end of the line after each, so a short one waits for the
/// batches that run, not for another request's last text.
final class Batcher: Sendable {
  /// Most tokens of a batch: few enough for activations to stay in cache and for a batch to end within some 40 ms.
  static let mostTokens = 512
  /// Fewest tokens worth a batch of their own: from here on the matrix product runs at full speed.
  private static let fewestTokens = 64

  private struct State {
    /// Waiting jobs with the next sequence of each.
    var line: [(job: EncodeJob, next: Int)] = []
    var running = 0
    var waitingSequences = 0
    var waitingTokens = 0

    mutating func taken(_ sequences: ArraySlice<[Int32]>) {
      waitingSequences -= sequences.count
      waitingTokens -= sequences.reduce(0) { $0 + $1.count }
    }
  }

  private struct Share {
    let job: EncodeJob
    let sequences: Range<Int>
  }

  private let encoder: SentenceEncoder
  private let queues: WorkQueues
  private let metrics: Metrics
  private let state = Mutex(State())

  init(encoder: SentenceEncoder, queues: WorkQueues, metrics: Metrics) {
    self.encoder = encoder
    self.queues = queues
    self.metrics = metrics
  }

  /// Texts that wait for a batch.
  var waiting: Int { state.withLock { $0.waitingSequences } }

  /// Encodes `sequences`; `finish` gets the pooled rows, not normalised, on a work queue.
  func encode(
    _ sequences: [[Int32]], for call: Call, finish: @escaping @Sendable (Result<Matrix, any Error>) -> Void
  ) {
    let job = EncodeJob(
      sequences, dimension: encoder.dimension, isAbandoned: { call.isAbandoned }, finish: finish)
    guard !sequences.isEmpty else { return job.fail(Problem.invalid("inputs", "must not be empty")) }
    state.withLock {
      $0.line.append((job, 0))
      $0.waitingSequences += sequences.count
      $0.waitingTokens += sequences.reduce(0) { $0 + $1.count }
    }
    start()
  }

  /// Starts one more runner unless every queue has one.
  private func start() {
    let starts = state.withLock { state in
      guard !state.line.isEmpty, state.running < queues.count else { return false }
      state.running += 1
      return true
    }
    if starts { queues.submit { self.runOne() } }
  }

  /// Runs one batch, then goes behind whatever else waits for this queue.
  private func runOne() {
    let batch = takeBatch()
    if !batch.isEmpty {
      // More work may wait than one runner can do.
      start()
      run(batch)
    }
    let more = state.withLock { state in
      if state.line.isEmpty { state.running -= 1 }
      return !state.line.isEmpty
    }
    if more { queues.submit { self.runOne() } }
  }

  private func run(_ batch: [Share]) {
    let sequences = batch.flatMap { $0.job.sequences[$0.sequences] }
    let tokens = sequences.reduce(0) { $0 + $1.count }
    let began = SystemClock.monotonic
    var failure: (any Error)?
    do {
      let rows = try encoder.encode(sequences)
      record(sequences.count, tokens, since: began, failed: false)
      var start = 0
      for share in batch {
        share.job.deliver(rows, rows: start..<start + share.sequences.count, to: share.sequences)
        start += share.sequences.count
      }
    } catch {
      record(sequences.count, tokens, since: began, failed: true)
      failure = error
    }
    guard let failure else { return }
    guard batch.count > 1 || batch[0].sequences.count > 1 else { return batch[0].job.fail(failure) }
    // One text is to blame: alone, each of the others still gets its vector.
    for share in batch {
      for index in share.sequences where !share.job.isOver {
        run([Share(job: share.job, sequences: index..<index + 1)])
      }
    }
  }

  private func record(_ sequences: Int, _ tokens: Int, since began: UInt64, failed: Bool) {
    metrics.encoded(
      sequences: sequences, tokens: tokens, nanoseconds: SystemClock.monotonic &- began, failed: failed)
  }

  /// Takes sequences up to the budget from the front of the line; jobs that nobody waits for are dropped.
  private func takeBatch() -> [Share] {
    var dropped: [EncodeJob] = []
    let batch = state.withLock { state -> [Share] in
      // What waits is shared between the queues, so that a lone request runs on all cores.
      let budget = min(Self.mostTokens, max(Self.fewestTokens, state.waitingTokens / queues.count))
      var shares: [Share] = []
      var tokens = 0
      while let (job, next) = state.line.first {
        if job.isOver {
          dropped.append(job)
          state.taken(job.sequences[next...])
          state.line.removeFirst()
          continue
        }
        var end = next
        while end < job.sequences.count {
          let length = job.sequences[end].count
          // The first text of a batch fits whatever its length.
          guard tokens == 0 || tokens + length <= budget else { break }
          tokens += length
          end += 1
        }
        guard end > next else { break }
        shares.append(Share(job: job, sequences: next..<end))
        state.taken(job.sequences[next..<end])
        state.line.removeFirst()
        guard end < job.sequences.count else { continue }
        state.line.append((job, end))
        break
      }
      return shares
    }
    for job in dropped { job.fail(Problem(503, "the client went away")) }
    return batch
  }
}
