import CLinux
import Dispatch
import Glibc
import Synchronization

/// The memory that the C library keeps although the process has freed it.
public enum HeapMemory {
  /// Gives freed memory back to the system. Batches come in buffers of many megabytes, and the library would keep some of
  /// these for every thread.
  public static func giveBack() { clinux_give_back_memory() }

  /// Lets threads share heaps. With one heap for each core no thread waits long, and the memory in use is less scattered
  /// than over the C library's eight for each core: a million stored points take 50 MB less.
  public static func shareHeaps(cores: Int) { clinux_limit_heaps(Int32(clamping: max(2, cores))) }

  private static let isPlanned = Atomic(false)

  /// Gives freed memory back a second later, when the caller has freed what it still holds. All calls within that second
  /// count as one.
  public static func giveBackSoon() {
    guard !isPlanned.exchange(true, ordering: .relaxed) else { return }
    DispatchQueue.global(qos: .utility).asyncAfter(deadline: .now() + 1) {
      isPlanned.store(false, ordering: .relaxed)
      giveBack()
    }
  }
}

/// Zeroed memory straight from the system, in large pages where it has them. Large pages keep the address translations
/// of memory that is read in no particular order in the processor's cache. Pages that are never written take no memory.
// SAFETY: the owner decides who writes where; the memory is unmapped with its last reference.
public final class PageMemory: @unchecked Sendable {
  public let start: UnsafeMutableRawPointer
  private let bytes: Int

  /// Takes `bytes` bytes; nil when the system does not have them.
  public init?(bytes: Int) {
    guard bytes > 0, let memory = mmap(nil, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
      memory != MAP_FAILED
    else { return nil }
    madvise(memory, bytes, MADV_HUGEPAGE)
    (start, self.bytes) = (memory, bytes)
  }

  deinit { munmap(start, bytes) }
}
