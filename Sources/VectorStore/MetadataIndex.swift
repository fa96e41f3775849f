import VectorIndex

/// Finds the slots whose metadata a filter matches.
struct MetadataIndex: Sendable {
  init() {}
  mutating func insert(slot: Int, metadata: [UInt8]?) {}
  mutating func remove(slot: Int, metadata: [UInt8]?) {}
  func matches(_ filter: Filter, among live: SlotSet) -> SlotSet { live }
}
