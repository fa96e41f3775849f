#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Writes a file that is there whole or not at all, whatever happens meanwhile.
enum NewFile {
  /// - Parameter content: hands the bytes over, some at a time; ends early when that gives false.
  /// - Returns: nil when `path` has the content and will have it after a crash; else why not, and `path` is as it was.
  static func write(
    _ path: String, in folder: String, _ content: ((UnsafeRawBufferPointer) -> Bool) -> Bool
  ) -> String? {
    let partial = "\(path).partial"
    let descriptor = open(partial, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else { return String(cString: strerror(errno)) }
    var isWritten = content { put($0, descriptor) } && fsync(descriptor) == 0
    var reason = errno
    if close(descriptor) != 0, isWritten { (isWritten, reason) = (false, errno) }
    if isWritten, rename(partial, path) != 0 { (isWritten, reason) = (false, errno) }
    guard isWritten else {
      unlink(partial)
      return String(cString: strerror(reason))
    }
    let directory = open(folder, O_RDONLY | O_CLOEXEC)
    if directory >= 0 {
      fsync(directory)
      close(directory)
    }
    return nil
  }

  // SAFETY: every write is within the buffer.
  private static func put(_ bytes: UnsafeRawBufferPointer, _ descriptor: Int32) -> Bool {
    var done = 0
    while done < bytes.count {
      let count = systemWrite(descriptor, UnsafeRawBufferPointer(rebasing: bytes[done...]))
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { return false }
      done += count
    }
    return true
  }
}

private func systemWrite(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) -> Int {
  write(descriptor, bytes.baseAddress, bytes.count)
}
