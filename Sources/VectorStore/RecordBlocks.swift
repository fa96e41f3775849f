/// The records by slot, in blocks that copies share: a write to one copy copies the blocks it writes to, not the whole.
struct RecordBlocks: Sendable {
  private static let recordsPerBlock = 256

  private var blocks: [[Record?]] = []
  private(set) var count = 0

  /// The record in `slot`; nil when there is none.
  subscript(slot: Int) -> Record? {
    guard slot >= 0, slot / Self.recordsPerBlock < blocks.count else { return nil }
    return blocks[slot / Self.recordsPerBlock][slot % Self.recordsPerBlock]
  }

  /// Puts `record` in `slot`, or takes out what is there.
  mutating func set(_ slot: Int, _ record: Record?) {
    guard slot >= 0 else { return }
    let block = slot / Self.recordsPerBlock
    while block >= blocks.count {
      guard record != nil else { return }
      blocks.append([Record?](repeating: nil, count: Self.recordsPerBlock))
    }
    let place = slot % Self.recordsPerBlock
    count += (record == nil ? 0 : 1) - (blocks[block][place] == nil ? 0 : 1)
    blocks[block][place] = record
  }
}
