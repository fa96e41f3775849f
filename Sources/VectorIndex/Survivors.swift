import SimilarityCore

/// The slots that a scan for one query could not rule out of the k best.
struct Survivors {
  private var bounds: LowerBounds
  private var slots: [UInt32] = []
  private var upper: [Float] = []
  private var mostKept: Int

  /// A lower bound of the k-th best key that is already known.
  private let floor: Float
  /// How much was compared to find them.
  var effort = ScanEffort()

  init(k: Int, floor: Float = -.infinity) {
    bounds = LowerBounds(k)
    self.floor = floor
    mostKept = max(256, 4 * k)
  }

  /// A slot with a key below this cannot be among the k best.
  var threshold: Float { max(floor, bounds.threshold) }

  mutating func add(_ hit: CodeHit) {
    bounds.insert(hit.key - hit.width)
    slots.append(hit.slot)
    upper.append(hit.key + hit.width)
    guard slots.count > mostKept else { return }
    drop()
    mostKept = max(mostKept, 2 * slots.count)
  }

  mutating func formUnion(_ other: Survivors) {
    bounds.formUnion(other.bounds)
    effort += other.effort
    slots += other.slots
    upper += other.upper
  }

  /// The slots that may be among the k best of all that were added.
  mutating func finish() -> [UInt32] {
    drop()
    return slots
  }

  private mutating func drop() {
    let threshold = threshold
    var kept = 0
    for index in slots.indices where !(upper[index] < threshold) {
      slots[kept] = slots[index]
      upper[kept] = upper[index]
      kept += 1
    }
    slots.removeLast(slots.count - kept)
    upper.removeLast(upper.count - kept)
  }
}

/// The k largest of a stream of lower bounds. A key whose upper bound is below the smallest of them cannot be among the k best.
struct LowerBounds {
  private let capacity: Int
  /// A heap with the smallest value at its root.
  private var heap: [Float] = []

  init(_ capacity: Int) {
    self.capacity = max(1, capacity)
  }

  /// The smallest of the k; −∞ while there are fewer than k.
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
      // The root is replaced, and the new value sinks to its place.
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
