import Encoder
import Platform
import SimilarityCore
import Synchronization

/// Packs the inputs of concurrent requests into batches by a budget of tokens and runs them on the work queues, whatever the
/// inputs are.
///
/// The request with the least left to encode comes first, and age counts in its favour: requests end one after another instead of
/// all together, a short one waits for the batches that run, and a long one is not overtaken for ever.
package final class Batcher<Input: Hashable & Sendable>: Sendable {
  private typealias Job = EncodeJob<Input>

  /// Fewest tokens worth a batch of their own: from here on the matrix product runs at full speed.
  private static var fewestTokens: Int { 64 }

  private struct State {
    /// Waiting jobs with the next input of each and the tokens from there on.
    var line: [(job: Job, next: Int, left: Int)] = []
    var running = 0
    var waitingInputs = 0
    var waitingTokens = 0

    mutating func taken(_ inputs: Int, tokens: Int) {
      waitingInputs -= inputs
      waitingTokens -= tokens
    }
  }

  private struct Share {
    let job: Job
    let inputs: Range<Int>
    let tokens: Int
  }

  private let encoder: any BatchEncoder<Input>
  private let queues: WorkQueues
  /// Shares a batch that is the only one, so that a lone request need not wait for one core.
  private let crew: Crew?
  private let record: @Sendable (EncodedBatch) -> Void
  private let state = Mutex(State())
  /// In tokens.
  let meter = WorkMeter(rate: 10_000)

  /// - Parameters:
  ///   - crew: threads that share a batch while no other runs; nil for none.
  ///   - record: called with every batch that has run, on a work queue.
  package init(
    encoder: any BatchEncoder<Input>, queues: WorkQueues, crew: Crew? = nil,
    record: @escaping @Sendable (EncodedBatch) -> Void
  ) {
    self.encoder = encoder
    self.queues = queues
    self.crew = crew
    self.record = record
    queues.add(encoder: meter)
  }

  /// Inputs that wait for a batch.
  package var waiting: Int { state.withLock { $0.waitingInputs } }

  /// Encodes `inputs`.
  ///
  /// - Parameters:
  ///   - deadline: monotonic nanoseconds by which the last input has to be encoded to be of use.
  ///   - isAbandoned: whether nobody waits for the result any more; asked before each batch.
  ///   - finish: called once, on a work queue, with one row for each input, not normalised.
  package func encode(
    _ inputs: [Input], deadline: UInt64 = .max, isAbandoned: @escaping @Sendable () -> Bool,
    finish: @escaping @Sendable (Result<Matrix, any Error>) -> Void
  ) {
    let job = Job(
      inputs, costs: encoder.costs(of: inputs), dimension: encoder.dimension, deadline: deadline,
      isAbandoned: isAbandoned, finish: finish)
    guard !inputs.isEmpty else { return job.fail(Problem.invalid("inputs", "must not be empty")) }
    meter.add(Double(job.tokens))
    state.withLock {
      $0.line.append((job, 0, job.tokens))
      $0.waitingInputs += inputs.count
      $0.waitingTokens += job.tokens
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
      run(batch, state.withLock { $0.running == 1 } ? crew : nil)
      meter.remove(Double(Self.tokens(of: batch)))
    }
    let more = state.withLock { state in
      if state.line.isEmpty { state.running -= 1 }
      return !state.line.isEmpty
    }
    if more { queues.submitNext { self.runOne() } }
  }

  private static func tokens(of batch: [Share]) -> Int { batch.reduce(0) { $0 + $1.tokens } }

  private func run(_ batch: [Share], _ crew: Crew?) {
    let inputs = batch.flatMap { $0.job.inputs[$0.inputs] }
    let tokens = Self.tokens(of: batch)
    let began = SystemClock.monotonic
    func ended(failed: Bool) {
      let elapsed = SystemClock.monotonic &- began
      meter.measured(Double(tokens), seconds: Double(elapsed) / 1e9, parallel: queues.count)
      record(EncodedBatch(inputs: inputs.count, tokens: tokens, nanoseconds: elapsed, failed: failed))
    }
    let failure: EncodingFailure
    do throws(EncodingFailure) {
      let rows = try encode(inputs, crew)
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
        run([Share(job: share.job, inputs: index..<index + 1, tokens: share.job.costs[index])], crew)
      }
    }
  }

  /// Encodes each input once, however many requests have it.
  private func encode(_ inputs: [Input], _ crew: Crew?) throws(EncodingFailure) -> Matrix {
    var rows: [Input: Int] = [:]
    var distinct: [Input] = []
    for input in inputs where rows[input] == nil {
      rows[input] = distinct.count
      distinct.append(input)
    }
    let encoded = try encoder.encode(distinct, crew)
    guard distinct.count < inputs.count else { return encoded }
    return encoded.rows(inputs.compactMap { rows[$0] })
  }

  /// Takes inputs up to the budget from those that come first; jobs that nobody waits for, or that cannot be done in time, are
  /// dropped.
  private func takeBatch() -> [Share] {
    var dropped: [(job: Job, left: Int)] = []
    let pace = 1e9 * meter.seconds(1)
    let now = SystemClock.monotonic
    let batch = state.withLock { state -> [Share] in
      // What waits is shared between the queues, so that a lone request runs on all cores.
      let budget = min(encoder.batchTokens, max(Self.fewestTokens, state.waitingTokens / queues.count))
      var shares: [Share] = []
      var tokens = 0
      for index in state.line.indices.reversed() {
        let (job, next, left) = state.line[index]
        guard job.isOver || now &+ UInt64(min(Double(left) * pace, 1e18)) > job.deadline else { continue }
        dropped.append((job, left))
        state.taken(job.inputs.count - next, tokens: left)
        state.line.remove(at: index)
      }
      while let first = state.line.indices.min(by: { rank(state.line[$0], pace) < rank(state.line[$1], pace) }) {
        let (job, next, left) = state.line[first]
        var end = next
        var taken = 0
        while end < job.inputs.count {
          let length = job.costs[end]
          // The first input of a batch fits whatever its length.
          guard tokens == 0 || tokens + length <= budget else { break }
          tokens += length
          taken += length
          end += 1
        }
        guard end > next else { break }
        shares.append(Share(job: job, inputs: next..<end, tokens: taken))
        state.taken(end - next, tokens: taken)
        guard end == job.inputs.count else {
          state.line[first] = (job, end, left - taken)
          break
        }
        state.line.remove(at: first)
      }
      return shares
    }
    for (job, left) in dropped {
      meter.remove(Double(left))
      job.fail(BatchFailure.dropped(hasBegun: left < job.tokens))
    }
    return batch
  }

  /// When a job would be done if nothing else came before it, counted from when it arrived: a job that needs a second more has to
  /// be a second older.
  private func rank(_ entry: (job: Job, next: Int, left: Int), _ pace: Double) -> Double {
    Double(entry.job.arrived) + Double(entry.left) * pace
  }
}

/// Why inputs were not encoded although nothing is wrong with them or the encoder.
package enum BatchFailure: Error, Equatable {
  /// Nobody waits for the result any more, or it cannot be there in time.
  case dropped(hasBegun: Bool)
}

/// A batch that has run, for the metrics.
package struct EncodedBatch: Sendable {
  package let inputs: Int
  package let tokens: Int
  package let nanoseconds: UInt64
  package let failed: Bool
}

/// The inputs of one request on their way through the encoder, in as many batches as it takes.
private final class EncodeJob<Input: Hashable & Sendable>: Sendable {
  let inputs: [Input]
  /// Tokens of each input.
  let costs: [Int]
  /// Of all inputs.
  let tokens: Int
  let deadline: UInt64
  let arrived = SystemClock.monotonic
  private let isAbandoned: @Sendable () -> Bool
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
    _ inputs: [Input], costs: [Int], dimension: Int, deadline: UInt64, isAbandoned: @escaping @Sendable () -> Bool,
    finish: @escaping @Sendable (Result<Matrix, any Error>) -> Void
  ) {
    precondition(costs.count == inputs.count, "there is not one cost for each input")
    self.inputs = inputs
    self.costs = costs
    tokens = costs.reduce(0, +)
    self.deadline = deadline
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
