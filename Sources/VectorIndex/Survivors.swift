import SimilarityCore

/// What a scan could not rule out of the k best, for one query.
struct Survivors {
  private var bounds: LowerBounds
  private var slots: [UInt32] = []
  private var upper: [Float] = []
  private var mostKept: Int

  /// What others have shown that the k-th best reaches.
  private let floor: Float
  /// What was compared to find them.
  var effort = ScanEffort()

  init(k: Int, floor: Float = -.infinity) {
    bounds = LowerBounds(k)
    self.floor = floor
    mostKept = max(256, 4 * k)
  }

  /// Nothing whose key is below can be among the k best.
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

  /// Those that may be among the k best of all that was added.
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
