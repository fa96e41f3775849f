import SentenceEncoder
import SimilarityCore
import Synchronization

/// The texts of one request on their way through the encoder, in as many batches as it takes.
final class EncodeJob: Sendable {
  /// Token ids, special tokens included.
  let sequences: [[Int32]]
  let isAbandoned: @Sendable () -> Bool
  private let dimension: Int
  private let finish: @Sendable (Result<Matrix, any Error>) -> Void
  private let state: Mutex<State>

  private struct State {
    var rows: [Float]
    var missing: Int
    var finished = false
  }

  /// - Parameter finish: called once, with the pooled rows in the order of `sequences`, on a work queue.
  init(
    _ sequences: [[Int32]], dimension: Int, isAbandoned: @escaping @Sendable () -> Bool,
    finish: @escaping @Sendable (Result<Matrix, any Error>) -> Void
  ) {
    self.sequences = sequences
    self.dimension = dimension
    self.isAbandoned = isAbandoned
    self.finish = finish
    state = Mutex(
      State(rows: [Float](repeating: 0, count: sequences.count * dimension), missing: sequences.count))
  }

  /// Puts rows `source` of `batch` in the places `target`; the last one finishes the job.
  func deliver(_ batch: Matrix, rows source: Range<Int>, to target: Range<Int>) {
    let whole = state.withLock { state -> [Float]? in
      guard !state.finished, source.count == target.count, batch.columns == dimension else { return nil }
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
    if let matrix = Matrix(rows: sequences.count, columns: dimension, values: whole) {
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
