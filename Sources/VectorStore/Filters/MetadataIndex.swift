import VectorIndex

/// The metadata of a collection's points, arranged so that filters need not read it.
public struct MetadataIndex: Sendable {
  public init() {}

  public mutating func insert(slot: Int, metadata: [UInt8]?) {}

  public mutating func remove(slot: Int, metadata: [UInt8]?) {}

  public func matches(_ filter: Filter, among live: SlotSet) -> SlotSet { live }
}
