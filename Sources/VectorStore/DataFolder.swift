#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// A folder that one process at a time keeps its collections in.
///
/// The file `lock` is locked while the process lives, whatever ends it. It also says that the folder is in use, so that a
/// database that has vanished or was cut to nothing is not taken for a new one.
final class DataFolder: Sendable {
  let path: String
  var database: String { Self.database(in: path) }
  private let descriptor: Int32

  private static let mark = "nearfar data folder\n"

  static func database(in folder: String) -> String { "\(folder)/nearfar.sqlite" }

  /// Whether `folder` has a database.
  static func exists(_ folder: String) -> Bool { access(database(in: folder), F_OK) == 0 }

  /// Makes the folder if there is none, and locks it.
  init(_ path: String) throws(OpenError) {
    self.path = path
    if mkdir(path, 0o777) != 0, errno != EEXIST { throw Self.failure("the folder \(path) cannot be made") }
    descriptor = open("\(path)/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else { throw Self.failure("the folder \(path) cannot be written") }
    while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
      let reason = errno
      if reason == EINTR { continue }
      close(descriptor)
      guard reason == EWOULDBLOCK else {
        errno = reason
        throw Self.failure("the folder \(path) cannot be locked")
      }
      throw OpenError("the folder \(path) is in use: another process holds \(path)/lock")
    }
  }

  deinit { close(descriptor) }

  /// Says that there is a database from now on. A mark that cannot be written is not needed to go on.
  func markUsed() {
    guard !isMarked else { return }
    let bytes = Array(Self.mark.utf8)
    _ = pwrite(descriptor, bytes, bytes.count, 0)
    fsync(descriptor)
    let folder = open(path, O_RDONLY | O_CLOEXEC)
    guard folder >= 0 else { return }
    fsync(folder)
    close(folder)
  }

  /// Whether a database was made here before.
  var isMarked: Bool {
    var bytes = [UInt8](repeating: 0, count: Self.mark.utf8.count)
    return pread(descriptor, &bytes, bytes.count, 0) == bytes.count && bytes == Array(Self.mark.utf8)
  }

  private static func failure(_ what: String) -> OpenError {
    OpenError("\(what): \(String(cString: strerror(errno)))")
  }
}
