import SimilarityCore

/// The f32 rows as they were given, and their norms, in blocks that never move: growing adds blocks.
// SAFETY: a row is written once, by the writer, before any snapshot's live set names its slot.
struct RowBlocks: Sendable {
  /// 1,024 rows of 384 values are 1.5 MiB.
  static let rowsPerBlock = 1024

  final class Block: @unchecked Sendable {
    let values: UnsafeMutablePointer<Float>
    let norms: UnsafeMutablePointer<Double>

    init(dimension: Int) {
      values = .allocate(capacity: RowBlocks.rowsPerBlock * dimension)
      norms = .allocate(capacity: RowBlocks.rowsPerBlock)
    }

    deinit {
      values.deallocate()
      norms.deallocate()
    }
  }

  let dimension: Int
  private(set) var blocks: [Block] = []

  init(dimension: Int) { self.dimension = dimension }

  /// Makes room for slots 0 ..< `slots`.
  mutating func reserve(_ slots: Int) {
    while blocks.count * Self.rowsPerBlock < slots { blocks.append(Block(dimension: dimension)) }
  }

  // SAFETY: callers name slots that there is room for.
  func row(_ slot: Int) -> UnsafeBufferPointer<Float> {
    let first = blocks[slot / Self.rowsPerBlock].values + slot % Self.rowsPerBlock * dimension
    return UnsafeBufferPointer(start: first, count: dimension)
  }

  func norm(_ slot: Int) -> Double {
    blocks[slot / Self.rowsPerBlock].norms[slot % Self.rowsPerBlock]
  }

  func write(_ row: UnsafeBufferPointer<Float>, norm: Double, to slot: Int) {
    guard let first = row.baseAddress, row.count == dimension else { return }
    let block = blocks[slot / Self.rowsPerBlock]
    (block.values + slot % Self.rowsPerBlock * dimension).update(from: first, count: dimension)
    block.norms[slot % Self.rowsPerBlock] = norm
  }
}
