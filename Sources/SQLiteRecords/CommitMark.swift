import Platform
import VectorStore

/// The file `mark` of a data folder: a lower bound of how far the records were flushed.
///
/// A log that is gone, or cut where a commit ends, looks like one that never was longer. So a number in the records, the commit
/// number, goes up by one after commits, and is noted in this file once it is flushed: records with a lower number have lost
/// something. The file is flushed at most once a second while there are writes, never for a single commit.
struct CommitMark: Sendable {
  let path: String

  init(in folder: String) { path = "\(folder)/mark" }

  /// The noted number; nil when there is no file, or one that is not whole, which says nothing.
  func read() -> Int64? {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var bytes = [UInt8](repeating: 0, count: Self.text(0).count + 1)
    let count = pread(descriptor, &bytes, bytes.count, 0)
    guard count == bytes.count - 1 else { return nil }
    let found = bytes.dropLast()
    let digits = String(decoding: found.prefix(Self.digits), as: UTF8.self)
    guard let number = Int64(digits), number >= 0, found.elementsEqual(Self.text(number)) else { return nil }
    return number
  }

  /// Notes `number`. When that fails, the records are only less well protected: nothing else depends on it.
  func write(_ number: Int64) {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else { return }
    let bytes = Self.text(number)
    // All bytes are in one sector, so that the file has the old or the new number; a mixture would not fit the checksum.
    if pwrite(descriptor, bytes, bytes.count, 0) == bytes.count { fsync(descriptor) }
    close(descriptor)
  }

  /// - Parameters:
  ///   - number: the commit number of the records in `database`.
  ///   - noted: the number in this file before the records were read.
  /// - Throws: ``OpenError`` when the records are older than that.
  func check(_ number: Int64, against noted: Int64?, in database: String) throws(OpenError) {
    guard let noted, number < noted else { return }
    throw OpenError(
      """
      \(database) is older than what was stored: the last commits are missing (mark \(number), not \(noted)). \
      Its log \(database)-wal was removed or cut; or an older copy was put in its place: if so, remove \(path)
      """, cause: .damaged)
  }

  private static let digits = 20

  /// The number in 20 digits, its checksum and a line feed.
  private static func text(_ number: Int64) -> [UInt8] {
    var sum = Checksum(6)
    sum.add(number)
    func padded(_ text: String, _ width: Int) -> String {
      String(repeating: "0", count: max(0, width - text.utf8.count)) + text
    }
    return Array(
      "\(padded("\(number)", digits)) \(padded(String(UInt64(bitPattern: sum.value), radix: 16), 16))\n".utf8)
  }
}
