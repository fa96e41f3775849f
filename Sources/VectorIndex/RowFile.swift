import Platform

/// A file for rows that loses its name at once, so that nothing of it outlives the process. Its pages are in memory while they
/// are used.
final class RowFile: Sendable {
  private let descriptor: Int32

  /// - Throws: ``IndexError/rowsUnavailable(_:)`` naming the folder.
  init(in folder: String) throws(IndexError) {
    var name = Array("\(folder)/rows-XXXXXX".utf8CString)
    descriptor = mkstemp(&name)
    guard descriptor >= 0 else { throw .rowsUnavailable("\(folder): \(systemMessage())") }
    unlink(name)
    _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
  }

  deinit { close(descriptor) }

  /// Makes room on the disk for `bytes` bytes at `offset`, both multiples of the page's size, and maps them.
  ///
  /// - Throws: ``IndexError/full`` when there is no such room: found here, not by a signal when a page is written.
  func map(_ bytes: Int, at offset: Int) throws(IndexError) -> UnsafeMutableRawPointer {
    var reason: Int32
    repeat { reason = posix_fallocate(descriptor, off_t(offset), off_t(bytes)) } while reason == EINTR
    switch reason {
    case 0: break
    case ENOSPC, EFBIG, EDQUOT: throw .full
    default: throw .rowsUnavailable(systemMessage(reason))
    }
    guard let memory = mmap(nil, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, off_t(offset)),
      memory != MAP_FAILED
    else { throw .outOfMemory }
    // Searches read a few rows here and there.
    madvise(memory, bytes, MADV_RANDOM)
    return memory
  }
}
