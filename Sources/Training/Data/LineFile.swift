import Platform

/// Reads a text file line by line, one block at a time, so that a large file is never in memory as a whole.
struct LineFile: ~Copyable {
  /// The longest line in bytes. A file without line breaks is a mistake, which is better named than read as a whole.
  static let longestLine = 64 << 20
  private static let blockSize = 1 << 20

  private let path: String
  private let descriptor: Int32
  /// The size of the file in bytes, or 0 where it has none, as a pipe.
  let size: Int
  private var block = [UInt8](repeating: 0, count: Self.blockSize)
  private var (start, end) = (0, 0)
  /// The number of the line that ``next()`` returned last, counted from 1.
  private(set) var number = 0

  /// - Throws: ``DataError`` when the file cannot be opened.
  init(_ path: String) throws(DataError) {
    let opened = open(path, O_RDONLY | O_CLOEXEC)
    guard opened >= 0 else { throw DataError(path, "cannot be opened: \(systemMessage())") }
    self.path = path
    descriptor = opened
    var status = stat()
    size = fstat(opened, &status) == 0 ? max(0, Int(clamping: status.st_size)) : 0
  }

  deinit { systemClose(descriptor) }

  /// The next line without its line break (LF or CRLF), and the first one without a byte order mark; nil after the last line.
  /// The array has the spare capacity that the JSON parser needs to read it in place.
  ///
  /// - Throws: ``DataError`` when the file cannot be read, and for a line of more than ``longestLine`` bytes.
  mutating func next() throws(DataError) -> [UInt8]? {
    var line: [UInt8] = []
    var isComplete = false
    while !isComplete {
      if start == end, try !fill() { break }
      let found = block.withUnsafeBytes { bytes -> Int? in
        // SAFETY: start ..< end is within the block, and so is what memchr finds.
        guard let base = bytes.baseAddress, let at = memchr(base + start, 0x0A, end - start) else { return nil }
        return UnsafeRawPointer(at) - base
      }
      let stop = found ?? end
      guard line.count + stop - start <= Self.longestLine else {
        throw DataError(path, line: number + 1, "has more than \(Self.longestLine) bytes")
      }
      if line.isEmpty { line.reserveCapacity(stop - start + 64) }
      line += block[start..<stop]
      start = found.map { $0 + 1 } ?? end
      isComplete = found != nil
    }
    guard isComplete || !line.isEmpty else { return nil }
    number += 1
    if line.last == 0x0D { line.removeLast() }
    if number == 1, line.starts(with: [0xEF, 0xBB, 0xBF]) { line.removeFirst(3) }
    return line
  }

  /// Reads the next block.
  ///
  /// - Returns: false at the end of the file.
  private mutating func fill() throws(DataError) -> Bool {
    while true {
      let count = block.withUnsafeMutableBytes { systemRead(descriptor, $0) }
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw DataError(path, "cannot be read: \(systemMessage())") }
      (start, end) = (0, count)
      return count > 0
    }
  }
}
