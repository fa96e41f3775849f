import Glibc

/// Reads a file at once.
public enum WholeFile {
  /// Why a file cannot be read.
  public struct Failure: Error, Sendable {
    /// The error number of the system.
    public let code: Int32

    public var isMissing: Bool { code == ENOENT }
    /// What the error number means.
    public var message: String { systemMessage(code) }
  }

  /// - Parameter room: bytes that the array has room for behind the content.
  public static func read(_ path: String, room: Int = 0) throws(Failure) -> [UInt8] {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw Failure(code: errno) }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw Failure(code: errno) }
    var content: [UInt8] = []
    // A guess: what is not a file on a disk has no size of its own.
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
