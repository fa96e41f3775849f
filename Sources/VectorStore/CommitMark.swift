import Platform

/// The file `mark` of a data folder: how far the records were flushed at least.
///
/// A log that is gone, or cut where a commit ends, looks like one that never was longer. So the writer counts in the records
/// now and then (``Records/advanceMark()``), and notes the number here once it is flushed: records with a lower number have
/// lost something. The file is flushed once a second while there are writes, never for a commit.
struct CommitMark: Sendable {
  let path: String

  init(in folder: String) { path = "\(folder)/mark" }

  /// nil when there is none, or one that is not whole: then it says nothing.
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

  /// One that cannot be written is not needed to go on.
  func write(_ number: Int64) {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else { return }
    let bytes = Self.text(number)
    // Within a sector, so that the old or the new number is there; a mixture would not fit its checksum.
    if pwrite(descriptor, bytes, bytes.count, 0) == bytes.count { fsync(descriptor) }
    close(descriptor)
  }

  /// - Parameters:
  ///   - number: what the records in `database` say.
  ///   - noted: what stood here before they were read.
  /// - Throws: ``OpenError`` when they said more then.
  func check(_ number: Int64, against noted: Int64?, in database: String) throws(OpenError) {
    guard let noted, number < noted else { return }
    throw OpenError(
      """
      \(database) is older than what was stored: the last commits are missing (mark \(number), not \(noted)). \
      Its log \(database)-wal was removed or cut; or an older copy was put in its place: if so, remove \(path)
      """)
  }

  private static let digits = 20

  /// The number in 20 digits, its checksum, a line's end.
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
