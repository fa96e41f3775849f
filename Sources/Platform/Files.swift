import Glibc

/// Reads whole files.
public enum WholeFile {
  /// Why a file cannot be read.
  public struct Failure: Error, Sendable {
    /// The error number of the system call that failed.
    public let code: Int32

    /// Whether there is no such file.
    public var isMissing: Bool { code == ENOENT }
    /// A description of the error number.
    public var message: String { systemMessage(code) }
  }

  /// Reads the file at `path`.
  ///
  /// - Parameter room: the spare capacity of the array behind the content, in bytes, as long as the file does not grow
  ///   meanwhile.
  /// - Throws: ``Failure`` when the file cannot be opened or read.
  public static func read(_ path: String, room: Int = 0) throws(Failure) -> [UInt8] {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw Failure(code: errno) }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw Failure(code: errno) }
    var content: [UInt8] = []
    // This is only a guess, because a pipe or a device states no size.
    content.reserveCapacity(max(0, Int(clamping: status.st_size)) + room)
    var failure: Int32?
    // SAFETY: the kernel writes at most the block's size.
    withUnsafeTemporaryAllocation(byteCount: 1 << 16, alignment: 8) { block in
      while true {
        let got = systemRead(descriptor, block)
        if got < 0 && errno == EINTR { continue }
        if got < 0 { failure = errno }
        if got <= 0 { return }
        content.append(contentsOf: block[..<got])
      }
    }
    if let failure { throw Failure(code: failure) }
    return content
  }
}

/// Writes files so that, even after a crash, a file has either all of the new content or is as it was before.
public enum NewFile {
  /// Writes the file beside `path`, waits until it is on the disk, and renames it.
  ///
  /// - Parameters:
  ///   - folder: the folder of `path`, which is flushed as well. A failure to flush it is ignored.
  ///   - content: passes the bytes, in pieces of any size, to the function that it is given. It returns true when it
  ///     has passed all; when that function returns false, it stops and returns false.
  /// - Returns: nil when `path` has the content. Otherwise the reason, and `path` is as it was before.
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

/// Lists folders.
public enum Folder {
  /// The names in the folder at `path`, in no particular order; nil when it cannot be read.
  public static func names(in path: String) -> [String]? {
    guard let directory = opendir(path) else { return nil }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
      // SAFETY: the entry is valid until the next call, and its name ends with a zero within the field.
      names.append(
        withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) })
    }
    return names
  }
}

/// Writes all of `bytes`.
///
/// - Returns: false when a write fails; `errno` says why.
// SAFETY: every write is within the buffer.
public func writeAll(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32) -> Bool {
  var done = 0
  while done < bytes.count {
    let count = systemWrite(descriptor, UnsafeRawBufferPointer(rebasing: bytes[done...]))
    if count < 0, errno == EINTR { continue }
    guard count > 0 else { return false }
    done += count
  }
  return true
}
