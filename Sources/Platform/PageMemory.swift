import Glibc

/// Zeroed memory straight from the system, in large pages where it has them: what is read in no order keeps its address
/// translation in cache, and what was never written costs nothing.
// SAFETY: the owner decides who writes where; the memory is unmapped with its last reference.
public final class PageMemory: @unchecked Sendable {
  public let start: UnsafeMutableRawPointer
  private let bytes: Int

  /// - Returns: nil when the memory cannot be had.
  public init?(bytes: Int) {
    guard bytes > 0, let memory = mmap(nil, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
      memory != MAP_FAILED
    else { return nil }
    madvise(memory, bytes, MADV_HUGEPAGE)
    (start, self.bytes) = (memory, bytes)
  }

  deinit { munmap(start, bytes) }
}
