/// When to look at which connection again: a binary heap, earliest first.
///
/// A connection's deadline moves with each request, mostly to a later time. Its entry stays where it is all the same: when
/// that comes up and the connection has time left, it is pushed anew. So a busy connection touches the heap every few
/// seconds instead of with each request.
struct DeadlineQueue {
  struct Entry {
    var time: UInt64
    var token: UInt64
  }

  private var heap: [Entry] = []

  /// The earliest time, nil when nothing waits.
  var earliest: UInt64? { heap.first?.time }

  mutating func push(_ entry: Entry) {
    var child = heap.count
    heap.append(entry)
    while child > 0 {
      let parent = (child - 1) / 2
      guard heap[parent].time > heap[child].time else { break }
      heap.swapAt(parent, child)
      child = parent
    }
  }

  /// Removes the earliest entry and returns it, where its time has come.
  mutating func pop(before now: UInt64) -> Entry? {
    guard let first = heap.first, first.time <= now else { return nil }
    let last = heap.removeLast()
    guard !heap.isEmpty else { return first }
    heap[0] = last
    var parent = 0
    while true {
      var child = 2 * parent + 1
      guard child < heap.count else { break }
      if child + 1 < heap.count, heap[child + 1].time < heap[child].time { child += 1 }
      guard heap[child].time < heap[parent].time else { break }
      heap.swapAt(parent, child)
      parent = child
    }
    return first
  }
}
