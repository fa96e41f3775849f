/// Takes examples in a given order and places each in the first batch that has none of its texts yet.
///
/// Scanning everything that was put off for each batch would take quadratic time where one text occurs in many examples.
/// Therefore an example that is put off waits behind the text that kept it out, and of those that wait behind a text only the
/// first is looked at in a batch: as soon as it is placed, the text keeps out the others.
struct BatchPlacing {
  private let order: [Int32]
  private let forEachText: (Int32, (Int32) -> Void) -> Void
  /// The first place of the order that was not looked at.
  private var fresh = 0
  /// The number of the last batch that each text occurs in.
  private var lastBatch: [Int32]
  private var number: Int32 = 0
  /// What waits behind each text.
  private var queues: [Int32: WaitingQueue] = [:]
  /// Queues that may be looked at in this batch, by the place of their first example. An entry whose place is not that of the
  /// first example any more is left over and means nothing.
  private var heads = PlaceHeap()
  /// Texts that this batch has and whose queues are not empty: they are looked at again behind it.
  private var blocked: [Int32] = []

  /// - Parameters:
  ///   - texts: the number of different texts.
  ///   - forEachText: calls its second parameter with the number of each text of an example.
  init(_ order: [Int32], texts: Int, forEachText: @escaping (Int32, (Int32) -> Void) -> Void) {
    self.order = order
    self.forEachText = forEachText
    lastBatch = [Int32](repeating: -1, count: texts)
  }

  /// The next batch; nil when all examples are placed.
  mutating func next(most: Int) -> [Int32]? {
    var batch: [Int32] = []
    // What was put off comes before everything fresh in the order.
    while batch.count < most, let head = heads.popFirst() {
      guard queues[head.text]?.first == head.place else { continue }
      if !isInBatch(head.text) {
        queues[head.text]?.removeFirst()
        place(head.place, in: &batch)
      }
      list(head.text)
    }
    while batch.count < most, fresh < order.count {
      fresh += 1
      place(Int32(truncatingIfNeeded: fresh - 1), in: &batch)
    }
    number += 1
    for text in blocked {
      queues[text]?.isBlocked = false
      list(text)
    }
    blocked = []
    return batch.isEmpty ? nil : batch
  }

  private func isInBatch(_ text: Int32) -> Bool { lastBatch[Int(text)] == number }

  /// Places the example in the batch, or puts it off.
  private mutating func place(_ place: Int32, in batch: inout [Int32]) {
    let example = order[Int(place)]
    var obstacle: Int32?
    forEachText(example) { if obstacle == nil, isInBatch($0) { obstacle = $0 } }
    guard let obstacle else {
      forEachText(example) { lastBatch[Int($0)] = number }
      batch.append(example)
      return
    }
    if queues[obstacle, default: WaitingQueue()].insert(place) { list(obstacle) }
  }

  /// Sees to it that the first example of a queue is looked at: in this batch, or behind it where it has the text.
  private mutating func list(_ text: Int32) {
    guard let queue = queues[text] else { return }
    guard let first = queue.first else {
      queues[text] = nil
      return
    }
    if !isInBatch(text) {
      heads.push((place: first, text: text))
    } else if !queue.isBlocked {
      queues[text]?.isBlocked = true
      blocked.append(text)
    }
  }
}

/// Examples that wait behind one text, by their places in the order.
private struct WaitingQueue {
  private var places: [Int32] = []
  private var start = 0
  /// Whether it is among those that are looked at again behind the batch.
  var isBlocked = false

  var first: Int32? { start < places.count ? places[start] : nil }

  mutating func removeFirst() { start += 1 }

  /// - Returns: whether the place comes before all others.
  mutating func insert(_ place: Int32) -> Bool {
    // Mostly it is behind all others; only what has waited behind another text comes between them.
    var (low, high) = (start, places.count)
    if let last = places.last, low < high, last < place { low = high }
    while low < high {
      let middle = (low + high) / 2
      if places[middle] < place { low = middle + 1 } else { high = middle }
    }
    places.insert(place, at: low)
    return low == start
  }
}

/// A binary heap of texts with places, from which the smallest place is taken first.
private struct PlaceHeap {
  private var entries: [(place: Int32, text: Int32)] = []

  mutating func push(_ entry: (place: Int32, text: Int32)) {
    entries.append(entry)
    var child = entries.count - 1
    while child > 0, entries[(child - 1) / 2].place > entries[child].place {
      entries.swapAt(child, (child - 1) / 2)
      child = (child - 1) / 2
    }
  }

  mutating func popFirst() -> (place: Int32, text: Int32)? {
    guard let first = entries.first, let last = entries.popLast() else { return nil }
    guard !entries.isEmpty else { return first }
    entries[0] = last
    var parent = 0
    while true {
      var least = parent
      for child in [2 * parent + 1, 2 * parent + 2] where child < entries.count {
        if entries[child].place < entries[least].place { least = child }
      }
      if least == parent { return first }
      entries.swapAt(parent, least)
      parent = least
    }
  }
}
