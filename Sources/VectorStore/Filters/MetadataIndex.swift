import VectorIndex

/// The metadata of a collection's points, arranged so that filters need not read it.
///
/// A value type: a copy costs nothing and keeps its answers, and a change to one of two copies copies only what it
/// touches. Memory grows with the values that are stored, a few bytes for a slot in a value's postings.
public struct MetadataIndex: Sendable {
  private var fields = SortedTree<ByteText, FieldIndex>()

  public init() {}

  /// Adds the metadata of a slot that has none in the index.
  ///
  /// - Parameters:
  ///   - slot: 0 or more, below 2^32; another is passed over.
  ///   - metadata: a JSON object; nil, or bytes that are not one (or nest over 64 deep), is as good as `{}`.
  public mutating func insert(slot: Int, metadata: [UInt8]?) {
    guard let slot = UInt32(exactly: slot) else { return }
    MetadataFields.forEach(in: metadata) { field, value in
      fields.update(field, orInsert: FieldIndex()) { index in
        index.insert(slot, value)
        return true
      }
    }
  }

  /// Takes the metadata of a slot away again.
  ///
  /// - Parameter metadata: what was inserted for the slot.
  public mutating func remove(slot: Int, metadata: [UInt8]?) {
    guard let slot = UInt32(exactly: slot) else { return }
    MetadataFields.forEach(in: metadata) { field, value in
      fields.update(field, orInsert: nil) { index in
        index.remove(slot, value)
        return !index.present.isEmpty
      }
    }
  }

  /// The slots of `live` whose metadata fulfil `filter`: exactly those for which the filter holds by its definition.
  public func matches(_ filter: Filter, among live: SlotSet) -> SlotSet {
    if case .all = filter { return live }
    var words = words(filter, live.words)
    for index in words.indices { words[index] &= live.words[index] }
    return SlotSet(words: words)
  }

  /// As many words as `live`; bits of slots that are not live may be set.
  private func words(_ filter: Filter, _ live: [UInt64]) -> [UInt64] {
    var words = [UInt64](repeating: 0, count: live.count)
    switch filter {
    case .all: return live
    case .anyOf(let field, let values): fields[ByteText(field)]?.addSlots(withAnyOf: values, to: &words)
    case .range(let field, let order, let operand):
      fields[ByteText(field)]?.addSlots(order, operand, to: &words)
    case .exists(let field): fields[ByteText(field)]?.present.add(to: &words)
    case .and(let filters):
      words = live
      for filter in filters where words.contains(where: { $0 != 0 }) {
        let others = self.words(filter, live)
        for index in words.indices { words[index] &= others[index] }
      }
    case .or(let filters):
      for filter in filters {
        let others = self.words(filter, live)
        for index in words.indices { words[index] |= others[index] }
      }
    case .not(let filter):
      let others = self.words(filter, live)
      for index in words.indices { words[index] = live[index] & ~others[index] }
    }
    return words
  }
}
