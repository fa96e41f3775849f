import SimilarityCore
import Synchronization

/// Why a vector cannot be stored or searched.
public enum IndexError: Error, Sendable, Equatable {
  /// Row `row` of a batch has `found` values where the index holds `expected`.
  case dimension(row: Int, expected: Int, found: Int)
  /// Row `row` of a batch is all zeros and has no direction, which the cosine needs.
  case zeroVector(row: Int)
  /// There is not enough memory.
  case outOfMemory
  /// The matrix library failed for another reason than memory; values never cause it.
  case libraryFailed
  /// The disk has no room for more rows.
  case full
  /// Rows cannot be kept on disk, for the given reason.
  case rowsUnavailable(String)

  init(_ failure: ProductFailure) {
    switch failure {
    case .outOfMemory: self = .outOfMemory
    case .library: self = .libraryFailed
    }
  }
}

extension ParallelLoop {
  /// What `body` returns for 0 ..< `count`, in that order, computed on the loop's threads.
  ///
  /// - Throws: what the first call to fail threw.
  func map<Value: Sendable, Failure: Error>(
    _ count: Int, _ body: (Int) throws(Failure) -> Value
  ) throws(Failure) -> [Value] {
    let values = Mutex([Value?](repeating: nil, count: count))
    try forEachPiece(count) { index throws(Failure) in
      let value = try body(index)
      values.withLock { $0[index] = value }
    }
    // Every call has returned a value, or one has thrown.
    return values.withLock { $0.compactMap(\.self) }
  }
}
