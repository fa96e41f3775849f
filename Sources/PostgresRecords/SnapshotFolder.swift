import Platform
import VectorStore

/// A folder for what a replica can make again from the database, above all saved graphs. One process at a time uses it, which a lock
/// on the file `lock` ensures: two that wrote the same file would spoil it for both.
final class SnapshotFolder: Sendable {
  let path: String
  private let descriptor: Int32

  /// Makes the folder if there is none, and locks it.
  ///
  /// - Throws: ``OpenError`` naming the path when it cannot be written or is in use.
  init(_ path: String) throws(OpenError) {
    self.path = path
    if mkdir(path, 0o777) != 0, errno != EEXIST {
      throw OpenError("the folder \(path) cannot be made: \(systemMessage())")
    }
    descriptor = open("\(path)/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else { throw OpenError("the folder \(path) cannot be written: \(systemMessage())") }
    let outcome = FileLock.take(descriptor)
    if outcome != .taken { close(descriptor) }
    switch outcome {
    case .taken: return
    case .held: throw OpenError("the folder \(path) is in use: another process holds \(path)/lock")
    case .failed(let reason): throw OpenError("the folder \(path) is in use: \(systemMessage(reason))")
    }
  }

  deinit { close(descriptor) }
}
