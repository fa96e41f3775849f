import Platform

/// An open file, closed with its last reference.
final class SystemFile: Sendable {
  let path: String
  private let descriptor: Int32
  private let isOwned: Bool

  private init(_ path: String, _ descriptor: Int32, isOwned: Bool = true) {
    self.path = path
    self.descriptor = descriptor
    self.isOwned = isOwned
  }

  deinit { if isOwned { close(descriptor) } }

  static let standardInput = SystemFile("standard input", STDIN_FILENO, isOwned: false)
  static let standardOutput = SystemFile("standard output", STDOUT_FILENO, isOwned: false)
  static let standardError = SystemFile("standard error", STDERR_FILENO, isOwned: false)

  static func reading(_ path: String) throws(CommandError) -> SystemFile {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw failure("cannot open", path) }
    return SystemFile(path, descriptor)
  }

  /// Opens an empty file; an existing one is emptied.
  static func writing(_ path: String) throws(CommandError) -> SystemFile {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else { throw failure("cannot write", path) }
    return SystemFile(path, descriptor)
  }

  /// Opens an existing file as it is.
  static func updating(_ path: String) throws(CommandError) -> SystemFile {
    let descriptor = open(path, O_WRONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw failure("cannot write", path) }
    return SystemFile(path, descriptor)
  }

  /// The size in bytes; nil for what has none, such as a pipe.
  var size: Int? {
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
    return Int(status.st_size)
  }

  /// Reads at most `most` bytes; none at the end of the file.
  func read(most: Int) throws(CommandError) -> [UInt8] {
    while true {
      var count = 0
      let bytes = [UInt8](unsafeUninitializedCapacity: most) { room, filled in
        // SAFETY: the kernel writes at most `room.count` bytes.
        count = systemRead(descriptor, UnsafeMutableRawBufferPointer(room))
        filled = max(0, count)
      }
      if count >= 0 { return bytes }
      guard errno == EINTR else { throw Self.failure("cannot read", path) }
    }
  }

  func write(_ bytes: ArraySlice<UInt8>) throws(CommandError) {
    guard bytes.withUnsafeBytes({ writeAll($0, to: descriptor) }) else { throw Self.failure("cannot write", path) }
  }

  /// Waits until what was written is on the disk, so that a late error is reported too.
  func flush() throws(CommandError) {
    // A pipe has no disk to wait for, which is EINVAL.
    guard fsync(descriptor) == 0 || errno == EINVAL else { throw Self.failure("cannot write", path) }
  }

  /// Writes over what stands at `offset`.
  func write(_ bytes: [UInt8], at offset: Int) throws(CommandError) {
    var done = 0
    while done < bytes.count {
      // SAFETY: the pointer is to the bytes that are not written yet, and is valid during the call.
      let count = bytes[done...].withUnsafeBytes { pwrite(descriptor, $0.baseAddress, $0.count, off_t(offset + done)) }
      guard count > 0 || count < 0 && errno == EINTR else { throw Self.failure("cannot write", path) }
      done += max(0, count)
    }
  }

  /// Cuts the file off at `size`, where writing goes on.
  func end(at size: Int) throws(CommandError) {
    guard ftruncate(descriptor, off_t(size)) == 0, lseek(descriptor, off_t(size), Int32(SEEK_SET)) >= 0 else {
      throw Self.failure("cannot write", path)
    }
  }

  /// Empties the file.
  func clear() throws(CommandError) {
    guard ftruncate(descriptor, 0) == 0, lseek(descriptor, 0, Int32(SEEK_SET)) == 0 else {
      throw Self.failure("cannot write", path)
    }
  }

  /// Waits until the file is on the disk, then renames it to `target` in one step.
  func publish(as target: String) throws(CommandError) {
    guard fsync(descriptor) == 0, rename(path, target) == 0 else { throw Self.failure("cannot write", target) }
  }

  static func remove(_ path: String) { unlink(path) }

  static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

  private static func failure(_ what: String, _ path: String) -> CommandError {
    CommandError("\(what) \(path): \(systemMessage())")
  }
}
