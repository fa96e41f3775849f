/// A candidate of a search.
public struct Candidate: Sendable, Equatable {
  /// The position of its row.
  public let position: Int
  /// The larger, the nearer.
  public let score: Double

  public init(position: Int, score: Double) {
    self.position = position
    self.score = score
  }
}

/// The k best of a stream of candidates, in a heap whose root is the worst one kept: O(log k) for a candidate that enters,
/// one comparison for one that does not.
public struct TopK {
  private let capacity: Int
  private var heap: [Candidate] = []
  /// `true` when the first stands before the second in the answer.
  private let precedes: (Candidate, Candidate) -> Bool

  /// - Parameter precedes: a strict total order, best first. It decides ties, so that the answer does not depend on the
  ///   order of arrival.
  public init(capacity: Int, precedes: @escaping (Candidate, Candidate) -> Bool) {
    self.capacity = max(0, capacity)
    self.precedes = precedes
  }

  public mutating func insert(_ candidate: Candidate) {
    if heap.count < capacity {
      heap.append(candidate)
      siftUp(heap.count - 1)
    } else if let worst = heap.first, candidate.score >= worst.score, precedes(candidate, worst) {
      heap[0] = candidate
      siftDown(0)
    }
  }

  /// What was kept, best first.
  public func sorted() -> [Candidate] {
    heap.sorted(by: precedes)
  }

  private mutating func siftUp(_ start: Int) {
    var child = start
    while child > 0 {
      let parent = (child - 1) / 2
      guard precedes(heap[parent], heap[child]) else { return }
      heap.swapAt(parent, child)
      child = parent
    }
  }

  private mutating func siftDown(_ start: Int) {
    var parent = start
    while true {
      var worst = parent
      for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count && precedes(heap[worst], heap[child]) {
        worst = child
      }
      guard worst != parent else { return }
      heap.swapAt(parent, worst)
      parent = worst
    }
  }
}
