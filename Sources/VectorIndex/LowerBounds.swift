/// The k largest of a stream of lower bounds: nothing whose upper bound is below the smallest of them can be among the k best.
struct LowerBounds {
  private let capacity: Int
  /// A heap with the smallest at its root.
  private var heap: [Float] = []

  init(_ capacity: Int) {
    self.capacity = max(1, capacity)
  }

  /// −∞ until there are k of them.
  var threshold: Float { heap.count < capacity ? -.infinity : heap[0] }

  mutating func insert(_ value: Float) {
    guard value > -.infinity else { return }
    if heap.count < capacity {
      heap.append(value)
      var child = heap.count - 1
      while child > 0, heap[(child - 1) / 2] > heap[child] {
        heap.swapAt(child, (child - 1) / 2)
        child = (child - 1) / 2
      }
    } else if value > heap[0] {
      // The value sinks from the root to where it belongs.
      var place = 0
      var child = 1
      while child < heap.count {
        if child + 1 < heap.count, heap[child + 1] < heap[child] { child += 1 }
        guard heap[child] < value else { break }
        heap[place] = heap[child]
        place = child
        child = 2 * place + 1
      }
      heap[place] = value
    }
  }

  mutating func formUnion(_ other: LowerBounds) {
    for value in other.heap { insert(value) }
  }
}
