/// One stored point.
public struct Point: Sendable, Equatable {
  /// Non-empty, at most 512 bytes of UTF-8, unique in its collection. Two ids are the same when their bytes are.
  public let id: String
  /// As many values as the collection's dimension.
  public let vector: [Float]
  /// Kept for the client; not searched.
  public let text: String?
  /// A JSON object, as text.
  public let metadata: [UInt8]?

  public init(id: String, vector: [Float], text: String? = nil, metadata: [UInt8]? = nil) {
    self.id = id
    self.vector = vector
    self.text = text
    self.metadata = metadata
  }
}

/// A point without its vector, which is in the index.
struct Record: Sendable {
  let id: String
  let text: String?
  let metadata: [UInt8]?
}

/// The records by slot, in blocks that copies share: a write to one copy copies only the blocks that it changes.
struct RecordBlocks: Sendable {
  private static let recordsPerBlock = 256

  private var blocks: [[Record?]] = []
  private(set) var count = 0

  /// The record in `slot`; nil when there is none.
  subscript(slot: Int) -> Record? {
    guard slot >= 0, slot / Self.recordsPerBlock < blocks.count else { return nil }
    return blocks[slot / Self.recordsPerBlock][slot % Self.recordsPerBlock]
  }

  /// The id of the record in `slot`, which must hold one.
  func id(at slot: Int) -> String {
    guard let record = self[slot] else { preconditionFailure("slot \(slot) holds no record") }
    return record.id
  }

  /// Puts `record` in `slot`, or empties it.
  mutating func set(_ slot: Int, _ record: Record?) {
    precondition(slot >= 0, "a slot is never negative")
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
