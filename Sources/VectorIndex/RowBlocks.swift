import Platform
import SimilarityCore

/// The f32 rows as they were given, and their squared norms. They are in blocks that never move; growing adds blocks.
// SAFETY: a row is written once, by the writer, before any snapshot's live set names its slot.
struct RowBlocks: Sendable {
  /// 1,024 rows of 384 values take 1.5 MiB. A block is a whole number of pages, also on systems with pages of 64 KiB.
  static let rowsPerBlock = 1024
  private static let largestPage = 65_536

  final class Block: @unchecked Sendable {
    let values: UnsafeMutablePointer<Float>
    let squares: UnsafeMutablePointer<Double>
    /// Memory from the system, since the C library's heaps would keep holes between blocks.
    private let memory: PageMemory
    /// Bytes of the file that are mapped; 0 for a block in memory.
    private let mapped: Int

    init(dimension: Int) throws(IndexError) {
      let bytes = try Block.bytes(dimension: dimension)
      guard let memory = PageMemory(bytes: bytes + Block.bytesOfSquares) else { throw .outOfMemory }
      values = memory.start.assumingMemoryBound(to: Float.self)
      squares = (memory.start + bytes).assumingMemoryBound(to: Double.self)
      self.memory = memory
      mapped = 0
    }

    init(dimension: Int, of file: RowFile, number: Int) throws(IndexError) {
      let bytes = try Block.bytes(dimension: dimension)
      let (offset, overflow) = bytes.multipliedReportingOverflow(by: number)
      guard !overflow, let memory = PageMemory(bytes: Block.bytesOfSquares) else { throw .outOfMemory }
      values = try file.map(bytes, at: offset).assumingMemoryBound(to: Float.self)
      squares = memory.start.assumingMemoryBound(to: Double.self)
      self.memory = memory
      mapped = bytes
    }

    private static let bytesOfSquares = RowBlocks.rowsPerBlock * MemoryLayout<Double>.stride

    private static func bytes(dimension: Int) throws(IndexError) -> Int {
      let (bytes, overflow) = (RowBlocks.rowsPerBlock * MemoryLayout<Float>.stride)
        .multipliedReportingOverflow(by: dimension)
      guard !overflow, bytes <= .max / 2 else { throw .outOfMemory }
      return (bytes + RowBlocks.largestPage - 1) / RowBlocks.largestPage * RowBlocks.largestPage
    }

    deinit { if mapped > 0 { munmap(values, mapped) } }
  }

  let dimension: Int
  /// The folder for rows on disk; nil for rows in memory.
  private let folder: String?
  private var file: RowFile?
  private(set) var blocks: [Block] = []

  init(dimension: Int, folder: String?) {
    self.dimension = dimension
    self.folder = folder
  }

  /// Makes room for slots 0 ..< `slots`.
  mutating func reserve(_ slots: Int) throws(IndexError) {
    while blocks.count * Self.rowsPerBlock < slots { blocks.append(try nextBlock()) }
  }

  private mutating func nextBlock() throws(IndexError) -> Block {
    guard let folder else { return try Block(dimension: dimension) }
    if file == nil { file = try RowFile(in: folder) }
    guard let file else { throw .outOfMemory }
    return try Block(dimension: dimension, of: file, number: blocks.count)
  }

  // SAFETY: the block is checked by the array, and it has room for `rowsPerBlock` rows.
  func row(_ slot: Int) -> UnsafeBufferPointer<Float> {
    let first = blocks[slot / Self.rowsPerBlock].values + slot % Self.rowsPerBlock * dimension
    return UnsafeBufferPointer(start: first, count: dimension)
  }

  /// The squared norm of the row in `slot`.
  func square(_ slot: Int) -> Double {
    blocks[slot / Self.rowsPerBlock].squares[slot % Self.rowsPerBlock]
  }

  func norm(_ slot: Int) -> Double { square(slot).squareRoot() }

  func write(_ row: UnsafeBufferPointer<Float>, square: Double, to slot: Int) {
    precondition(row.count == dimension, "a row of \(row.count) values among rows of \(dimension)")
    guard let first = row.baseAddress else { return }
    let block = blocks[slot / Self.rowsPerBlock]
    (block.values + slot % Self.rowsPerBlock * dimension).update(from: first, count: dimension)
    block.squares[slot % Self.rowsPerBlock] = square
  }
}

/// A file for rows that is unlinked as soon as it is open, so that nothing of it outlives the process. Its pages are in memory
/// only while they are used.
final class RowFile: Sendable {
  private let descriptor: Int32

  /// - Throws: ``IndexError/rowsUnavailable(_:)`` naming the folder.
  init(in folder: String) throws(IndexError) {
    var name = Array("\(folder)/rows-XXXXXX".utf8CString)
    descriptor = mkstemp(&name)
    guard descriptor >= 0 else { throw .rowsUnavailable("\(folder): \(systemMessage())") }
    unlink(name)
    _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
  }

  deinit { close(descriptor) }

  /// Reserves disk space for `bytes` bytes at `offset`, both multiples of the page size, and maps them.
  ///
  /// - Throws: ``IndexError/full`` when the disk is full. Without reserving, that would be a signal when a page is written.
  func map(_ bytes: Int, at offset: Int) throws(IndexError) -> UnsafeMutableRawPointer {
    var reason: Int32
    repeat { reason = posix_fallocate(descriptor, off_t(offset), off_t(bytes)) } while reason == EINTR
    switch reason {
    case 0: break
    case ENOSPC, EFBIG, EDQUOT: throw .full
    default: throw .rowsUnavailable(systemMessage(reason))
    }
    guard let memory = mmap(nil, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, off_t(offset)),
      memory != MAP_FAILED
    else { throw .outOfMemory }
    // Searches read single rows, so that reading ahead is useless.
    madvise(memory, bytes, MADV_RANDOM)
    return memory
  }
}
