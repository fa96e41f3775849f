import Platform
import VectorStore

/// Checks the write-ahead log that a killed process left behind (https://sqlite.org/fileformat2.html#walformat).
///
/// SQLite takes the log as far as its checksums hold and drops the rest, as it must: the crash may have cut the last
/// transaction. But a flipped bit in the middle would drop transactions that were answered, too. The two are told apart by what
/// follows: each commit was flushed before the next one began, so a broken frame that two commits follow was whole once.
struct LogCheck {
  private static let headerBytes = 32
  private static let frameHeaderBytes = 24

  private let isBigEndian: Bool
  private let salts: [UInt8]

  /// Whether there is no file at `path`, or an empty one.
  static func isEmpty(_ path: String) -> Bool {
    // The file is not opened, because closing it would release the locks that this process has on it.
    var status = stat()
    return stat(path, &status) == 0 ? status.st_size == 0 : errno == ENOENT
  }

  /// - Throws: ``OpenError`` naming `path` when answered transactions would be dropped.
  static func check(_ path: String) throws(OpenError) {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    // There is no log, or SQLite will say why it cannot be read.
    guard descriptor >= 0 else { return }
    defer { close(descriptor) }
    let header = bytes(descriptor, at: 0, count: headerBytes)
    guard bytes(descriptor, at: headerBytes, count: frameHeaderBytes).count == frameHeaderBytes else { return }
    guard header.count == headerBytes else { return }
    let pageBytes = Int(word(header, 8))
    let check = LogCheck(isBigEndian: header[3] & 1 == 1, salts: Array(header[16..<24]))
    guard word(header, 0) & ~1 == 0x377F_0682, (512...65_536).contains(pageBytes), pageBytes % 8 == 0,
      check.sums(of: header[0..<24], from: (0, 0)) == (word(header, 24), word(header, 28))
    else { throw OpenError("\(path) is damaged: its header is not as it was written", cause: .damaged) }
    let commits = check.commitsFromBreak(descriptor, pageBytes, first: (word(header, 24), word(header, 28)))
    guard commits < 2 else {
      throw OpenError(
        "\(path) is damaged: \(commits) commits stand in or after what is broken; without this file the records are as before all of its commits",
        cause: .damaged)
    }
  }

  /// The number of commits in the first broken frame and after it.
  private func commitsFromBreak(_ descriptor: Int32, _ pageBytes: Int, first: (UInt32, UInt32)) -> Int {
    let frameBytes = Self.frameHeaderBytes + pageBytes
    var sums = first
    var isBroken = false
    /// The previous frame broke the log, ends a commit, and says that it belongs to another log.
    var isDoubtful = false
    var commits = 0
    var offset = Self.headerBytes
    while true {
      let frame = Self.bytes(descriptor, at: offset, count: frameBytes)
      guard frame.count == frameBytes else { return commits }
      offset += frameBytes
      let isOurs = frame[8..<16].elementsEqual(salts)
      let endsCommit = Self.word(frame, 4) != 0
      let stored = (Self.word(frame, 16), Self.word(frame, 20))
      let found = self.sums(
        of: frame[Self.frameHeaderBytes...], from: self.sums(of: frame[0..<8], from: sums))
      let isWhole = isOurs && found == stored
      // If this frame's checksum follows from the previous one, both belong to this log.
      if isDoubtful, isWhole { commits += 1 }
      isDoubtful = !isBroken && !isOurs && endsCommit
      isBroken = isBroken || !isWhole
      if isBroken, isOurs, endsCommit { commits += 1 }
      // After a break the next frame still follows from the checksum that this one states.
      sums = stored
    }
  }

  /// The log's running checksum over pairs of words.
  private func sums(of bytes: ArraySlice<UInt8>, from start: (UInt32, UInt32)) -> (UInt32, UInt32) {
    var (a, b) = start
    bytes.withUnsafeBytes { raw in
      // SAFETY: every load is within the buffer's bounds.
      for offset in stride(from: 0, to: raw.count - 7, by: 8) {
        let first = raw.loadUnaligned(fromByteOffset: offset, as: UInt32.self)
        let second = raw.loadUnaligned(fromByteOffset: offset + 4, as: UInt32.self)
        a = a &+ (isBigEndian ? UInt32(bigEndian: first) : UInt32(littleEndian: first)) &+ b
        b = b &+ (isBigEndian ? UInt32(bigEndian: second) : UInt32(littleEndian: second)) &+ a
      }
    }
    return (a, b)
  }

  /// A big-endian word; 0 where there is none.
  private static func word(_ bytes: [UInt8], _ offset: Int) -> UInt32 {
    guard offset + 4 <= bytes.count else { return 0 }
    return bytes[offset..<offset + 4].reduce(0) { $0 << 8 | UInt32($1) }
  }

  /// Fewer than `count` at the end of the file.
  private static func bytes(_ descriptor: Int32, at offset: Int, count: Int) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    let read = pread(descriptor, &bytes, count, off_t(offset))
    return read == count ? bytes : Array(bytes.prefix(max(0, read)))
  }
}
