import Platform
import VectorStore

/// A folder in which one process at a time keeps its collections.
///
/// The file `lock` is locked while the process lives, whatever ends it. Its content says that a database was made here, so that
/// one that has vanished or was cut to nothing is not taken for a new one.
final class DataFolder: Sendable {
  let path: String
  var database: String { Self.database(in: path) }
  private let descriptor: Int32

  private static let signature = "nearfar data folder\n"

  static func database(in folder: String) -> String { "\(folder)/nearfar.sqlite" }

  /// Nothing can be written here: the folder is only read, perhaps by several processes.
  let isReadOnly: Bool

  /// Whether `folder` has a database.
  static func exists(_ folder: String) -> Bool { access(database(in: folder), F_OK) == 0 }

  /// Makes the folder if there is none, and locks it.
  ///
  /// - Parameter readOnly: treats the folder as one that cannot be written.
  init(_ path: String, readOnly: Bool = false) throws(OpenError) {
    self.path = path
    isReadOnly = readOnly || Self.cannotBeWritten(path)
    guard !isReadOnly else {
      descriptor = try Self.lockForReading(path)
      return
    }
    if mkdir(path, 0o777) != 0, errno != EEXIST { throw Self.failure("the folder \(path) cannot be made") }
    descriptor = open("\(path)/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else { throw Self.failure("the folder \(path) cannot be written") }
    try Self.lock(descriptor, path)
  }

  /// Whether there are records that this process may not write, for want of rights or because the file system is read-only.
  private static func cannotBeWritten(_ path: String) -> Bool {
    let database = Self.database(in: path)
    guard access(database, F_OK) == 0 else { return false }
    return [path, database, "\(path)/lock"].contains { (name: String) in
      access(name, W_OK) != 0 && [EACCES, EPERM, EROFS].contains(errno)
    }
  }

  /// Takes a lock that keeps writers out and lets other readers in.
  ///
  /// - Returns: the lock's descriptor; -1 where there is no such file, as in a copy.
  private static func lockForReading(_ path: String) throws(OpenError) -> Int32 {
    let descriptor = open("\(path)/lock", O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else {
      if errno == ENOENT, access(database(in: path), R_OK) == 0 { return -1 }
      throw failure("the folder \(path) cannot be read")
    }
    try lock(descriptor, isShared: true, path)
    return descriptor
  }

  /// - Throws: when another process holds the lock; the descriptor is then closed.
  private static func lock(_ descriptor: Int32, isShared: Bool = false, _ path: String) throws(OpenError) {
    let outcome = FileLock.take(descriptor, shared: isShared)
    if outcome != .taken { close(descriptor) }
    switch outcome {
    case .taken: return
    case .held: throw OpenError("the folder \(path) is in use: another process holds \(path)/lock")
    case .failed(let reason):
      errno = reason
      throw Self.failure("the folder \(path) cannot be locked")
    }
  }

  deinit { if descriptor >= 0 { close(descriptor) } }

  /// Notes that there is a database from now on. When that fails, the folder is only less well protected.
  func noteDatabase() {
    guard !hadDatabase, !isReadOnly else { return }
    let bytes = Array(Self.signature.utf8)
    _ = pwrite(descriptor, bytes, bytes.count, 0)
    fsync(descriptor)
    let folder = open(path, O_RDONLY | O_CLOEXEC)
    guard folder >= 0 else { return }
    fsync(folder)
    close(folder)
  }

  /// Whether a database was made here before.
  var hadDatabase: Bool {
    var bytes = [UInt8](repeating: 0, count: Self.signature.utf8.count)
    return pread(descriptor, &bytes, bytes.count, 0) == bytes.count && bytes == Array(Self.signature.utf8)
  }

  private static func failure(_ what: String) -> OpenError {
    OpenError("\(what): \(systemMessage())")
  }
}
