import CLinux
import Dispatch
import Glibc
import Synchronization

/// The memory that the C library keeps although the process has freed it.
public enum HeapMemory {
  /// Returns freed memory to the system. Batches use buffers of many megabytes, and the C library would keep some of
  /// these for every thread.
  public static func giveBack() { clinux_give_back_memory() }

  /// Limits the number of heaps to `cores` (at least 2), so that threads share them. With one heap for each core no
  /// thread waits long, and the memory in use is less scattered than over the eight for each core that are the C
  /// library's default: a million stored points take 50 MB less.
  public static func shareHeaps(cores: Int) { clinux_limit_heaps(Int32(clamping: max(2, cores))) }

  private static let isPlanned = Atomic(false)

  /// Returns freed memory to the system a second later, when the caller has freed what it still holds. All calls within
  /// that second count as one.
  public static func giveBackSoon() {
    guard !isPlanned.exchange(true, ordering: .relaxed) else { return }
    DispatchQueue.global(qos: .utility).asyncAfter(deadline: .now() + 1) {
      isPlanned.store(false, ordering: .relaxed)
      giveBack()
    }
  }
}

/// Watches a number that much memory goes with, such as that of connections, and has freed memory returned to the system when the number
/// has fallen to a quarter of what it was.
public struct MemoryWatch: Sendable {
  private let least: Int
  private var most = 0

  /// - Parameter least: what the number has to have reached for its fall to be worth anything.
  public init(from least: Int) { self.least = least }

  /// The number has changed.
  public mutating func note(_ number: Int) {
    if number > most {
      most = number
    } else if most >= least, number <= most / 4 {
      most = number
      HeapMemory.giveBackSoon()
    }
  }
}

/// Zeroed memory directly from the system, in large pages where the system has them. With large pages, reads in no
/// particular order miss the processor's cache of address translations less often. Pages that are never written take no
/// memory.
// SAFETY: the owner decides who writes where; the memory is unmapped when the last reference to it goes.
public final class PageMemory: @unchecked Sendable {
  /// The first byte, at the start of a page; valid while the object lives.
  public let start: UnsafeMutableRawPointer
  private let bytes: Int

  /// Allocates `bytes` bytes; nil when the system does not have them.
  public init?(bytes: Int) {
    guard bytes > 0, let memory = mmap(nil, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
      memory != MAP_FAILED
    else { return nil }
    madvise(memory, bytes, MADV_HUGEPAGE)
    (start, self.bytes) = (memory, bytes)
  }

  deinit { munmap(start, bytes) }
}
