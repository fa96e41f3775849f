import Encoder
import Platform
import SimilarityCore
import Synchronization

/// Packs the inputs of concurrent requests into batches by a budget of tokens and runs them on the work queues, whatever the
/// inputs are.
///
/// Requests take turns: one that needs many batches goes to the end of the line after each, so a short one waits for the
/// batches that run, not for another request's last input.
package final class Batcher<Input: Sendable>: Sendable {
  private typealias Job = EncodeJob<Input>

  /// Most tokens of a batch: few enough for activations to stay in cache and for a batch to end within some 40 ms.
  static var mostTokens: Int { 512 }
  /// Fewest tokens worth a batch of their own: from here on the matrix product runs at full speed.
  private static var fewestTokens: Int { 64 }

  private struct State {
    /// Waiting jobs with the next input of each.
    var line: [(job: Job, next: Int)] = []
    var running = 0
    var waitingInputs = 0
    var waitingTokens = 0

    mutating func taken(_ costs: ArraySlice<Int>) {
      waitingInputs -= costs.count
      waitingTokens -= costs.reduce(0, +)
    }
  }

  private struct Share {
    let job: Job
    let inputs: Range<Int>
  }

  private let encoder: any BatchEncoder<Input>
  private let queues: WorkQueues
  private let record: @Sendable (EncodedBatch) -> Void
  private let state = Mutex(State())

  /// - Parameter record: called with every batch that has run, on a work queue.
  package init(
    encoder: any BatchEncoder<Input>, queues: WorkQueues, record: @escaping @Sendable (EncodedBatch) -> Void
  ) {
    self.encoder = encoder
    self.queues = queues
    self.record = record
  }

  /// Inputs that wait for a batch.
  package var waiting: Int { state.withLock { $0.waitingInputs } }

  /// Encodes `inputs`.
  ///
  /// - Parameters:
  ///   - isAbandoned: whether nobody waits for the result any more; asked before each batch.
  ///   - finish: called once, on a work queue, with one row for each input, not normalised.
  package func encode(
    _ inputs: [Input], isAbandoned: @escaping @Sendable () -> Bool,
    finish: @escaping @Sendable (Result<Matrix, any Error>) -> Void
  ) {
    let job = Job(
      inputs, costs: encoder.costs(of: inputs), dimension: encoder.dimension, isAbandoned: isAbandoned, finish: finish)
    guard !inputs.isEmpty else { return job.fail(Problem.invalid("inputs", "must not be empty")) }
    state.withLock {
      $0.line.append((job, 0))
      $0.waitingInputs += inputs.count
      $0.waitingTokens += job.costs.reduce(0, +)
    }
    start()
  }

  /// Starts another runner unless every queue has one.
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
    let inputs = batch.flatMap { $0.job.inputs[$0.inputs] }
    let tokens = batch.reduce(0) { $0 + $1.job.costs[$1.inputs].reduce(0, +) }
    let began = SystemClock.monotonic
    func ended(failed: Bool) {
      let elapsed = SystemClock.monotonic &- began
      record(EncodedBatch(inputs: inputs.count, tokens: tokens, nanoseconds: elapsed, failed: failed))
    }
    let failure: EncodingFailure
    do throws(EncodingFailure) {
      let rows = try encoder.encode(inputs)
      ended(failed: false)
      var start = 0
      for share in batch {
        share.job.deliver(rows, rows: start..<start + share.inputs.count, to: share.inputs)
        start += share.inputs.count
      }
      return
    } catch {
      ended(failed: true)
      failure = error
    }
    guard inputs.count > 1 else { return batch[0].job.fail(failure) }
    // One input may be to blame: alone, each of the others still gets its vector.
    for share in batch {
      for index in share.inputs where !share.job.isOver {
        run([Share(job: share.job, inputs: index..<index + 1)])
      }
    }
  }

  /// Takes inputs up to the budget from the front of the line; jobs that nobody waits for are dropped.
  private func takeBatch() -> [Share] {
    var dropped: [Job] = []
    let batch = state.withLock { state -> [Share] in
      // What waits is shared between the queues, so that a lone request runs on all cores.
      let budget = min(Self.mostTokens, max(Self.fewestTokens, state.waitingTokens / queues.count))
      var shares: [Share] = []
      var tokens = 0
      while let (job, next) = state.line.first {
        if job.isOver {
          dropped.append(job)
          state.taken(job.costs[next...])
          state.line.removeFirst()
          continue
        }
        var end = next
        while end < job.inputs.count {
          let length = job.costs[end]
          // The first input of a batch fits whatever its length.
          guard tokens == 0 || tokens + length <= budget else { break }
          tokens += length
          end += 1
        }
        guard end > next else { break }
        shares.append(Share(job: job, inputs: next..<end))
        state.taken(job.costs[next..<end])
        state.line.removeFirst()
        guard end < job.inputs.count else { continue }
        state.line.append((job, end))
        break
      }
      return shares
    }
    for job in dropped { job.fail(Problem(503, "the client went away")) }
    return batch
  }
}

/// A batch that has run, for the metrics.
package struct EncodedBatch: Sendable {
  package let inputs: Int
  package let tokens: Int
  package let nanoseconds: UInt64
  package let failed: Bool
}

/// The inputs of one request on their way through the encoder, in as many batches as it takes.
private final class EncodeJob<Input: Sendable>: Sendable {
  let inputs: [Input]
  /// Tokens of each input.
  let costs: [Int]
  let isAbandoned: @Sendable () -> Bool
  private let dimension: Int
  private let finish: @Sendable (Result<Matrix, any Error>) -> Void
  private let state: Mutex<State>

  private struct State {
    var rows: [Float]
    var missing: Int
    var finished = false
  }

  /// - Parameter finish: called once, with the pooled rows in the order of `inputs`, on a work queue.
  init(
    _ inputs: [Input], costs: [Int], dimension: Int, isAbandoned: @escaping @Sendable () -> Bool,
    finish: @escaping @Sendable (Result<Matrix, any Error>) -> Void
  ) {
    precondition(costs.count == inputs.count, "there is not one cost for each input")
    self.inputs = inputs
    self.costs = costs
    self.dimension = dimension
    self.isAbandoned = isAbandoned
    self.finish = finish
    state = Mutex(
      State(rows: [Float](repeating: 0, count: inputs.count * dimension), missing: inputs.count))
  }

  /// Puts rows `source` of `batch` in the places `target`; the last one finishes the job.
  func deliver(_ batch: Matrix, rows source: Range<Int>, to target: Range<Int>) {
    precondition(source.count == target.count && batch.columns == dimension, "the rows do not fit the job")
    let whole = state.withLock { state -> [Float]? in
      guard !state.finished else { return nil }
      state.rows.replaceSubrange(
        target.lowerBound * dimension..<target.upperBound * dimension,
        with: batch.values[source.lowerBound * dimension..<source.upperBound * dimension])
      state.missing -= target.count
      guard state.missing == 0 else { return nil }
      state.finished = true
      defer { state.rows = [] }
      return state.rows
    }
    guard let whole else { return }
    if let matrix = Matrix(rows: inputs.count, columns: dimension, values: whole) {
      finish(.success(matrix))
    } else {
      finish(.failure(Problem.internalError))
    }
  }

  func fail(_ error: any Error) {
    let first = state.withLock { state in
      defer { state.finished = true }
      return !state.finished
    }
    if first { finish(.failure(error)) }
  }

  /// Failed already, or nobody waits for it.
  var isOver: Bool { isAbandoned() || state.withLock { $0.finished } }
}
