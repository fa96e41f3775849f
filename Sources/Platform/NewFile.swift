import Glibc

/// Writes a file that is there whole or not at all, whatever happens meanwhile.
public enum NewFile {
  /// - Parameter content: hands the bytes over, some at a time; ends early when that gives false.
  /// - Returns: nil when `path` has the content and will have it after a crash; else why not, and `path` is as it was.
  public static func write(
    _ path: String, in folder: String, _ content: ((UnsafeRawBufferPointer) -> Bool) -> Bool
  ) -> String? {
    let partial = "\(path).partial"
    let descriptor = open(partial, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else { return systemMessage() }
    var isWritten = content { writeAll($0, to: descriptor) } && fsync(descriptor) == 0
    var reason = errno
    if close(descriptor) != 0, isWritten { (isWritten, reason) = (false, errno) }
    if isWritten, rename(partial, path) != 0 { (isWritten, reason) = (false, errno) }
    guard isWritten else {
      unlink(partial)
      return systemMessage(reason)
    }
    let directory = open(folder, O_RDONLY | O_CLOEXEC)
    if directory >= 0 {
      fsync(directory)
      close(directory)
    }
    return nil
  }
}
