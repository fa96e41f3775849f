import JSON
import VectorIndex
import VectorStore

/// Filters, and the metadata that they are matched with. The input is a filter, then the metadata of up to 70 points.
enum FilterTarget {
  static func run(_ input: [UInt8]) {
    var parts = Parts(input)
    let text = parts.next()
    var metadata: [[UInt8]?] = []
    while !parts.isEmpty, metadata.count < 70 {
      let part = parts.next()
      metadata.append(part.isEmpty ? nil : part)
    }
    var index = MetadataIndex()
    for (slot, bytes) in metadata.enumerated() { index.insert(slot: slot, metadata: bytes) }
    guard let document = try? JSONDocument(text) else { return }
    let filter: Filter
    do throws(FilterError) {
      filter = try Filter(document.root)
    } catch {
      require(error.path.hasPrefix("filter") && !error.reason.isEmpty, "the error \(error) names no place")
      return
    }
    let live = SlotSet(below: metadata.count)
    let found = index.matches(filter, among: live)
    let others = index.matches(.not(filter), among: live)
    var all = found
    all.formUnion(others)
    require(all.count == live.count && found.count + others.count == live.count, "$not is not the complement")
    require(
      index.matches(.and([filter, .not(filter)]), among: live).isEmpty, "a filter and its opposite match a point")
    require(
      index.matches(.or([filter, .not(filter)]), among: live).count == live.count, "neither of two opposites matches")
    require(index.matches(.not(.not(filter)), among: live).words == found.words, "a filter negated twice differs")
    // A point is matched or not whatever the others are.
    for (slot, bytes) in metadata.enumerated() {
      var alone = MetadataIndex()
      alone.insert(slot: slot, metadata: bytes)
      var only = SlotSet()
      only.insert(slot)
      require(
        alone.matches(filter, among: only).contains(slot) == found.contains(slot),
        "point \(slot) alone is matched otherwise")
    }
    // What is removed leaves nothing behind.
    let without = MetadataIndex().matches(filter, among: live)
    for (slot, bytes) in metadata.enumerated().reversed() { index.remove(slot: slot, metadata: bytes) }
    require(index.matches(filter, among: live).count == without.count, "removed metadata is still matched")
  }
}
