import CLinux
import Dispatch
import Synchronization

/// What the C library keeps beside the memory in use.
public enum HeapMemory {
  /// Gives freed memory back to the system. Batches come in buffers of many megabytes, of which the library would keep some for
  /// every thread.
  public static func giveBack() { clinux_give_back_memory() }

  /// Lets threads share heaps: one for each core is enough for none to wait long, and what is kept lies closer together than in
  /// the C library's eight for each core. A million stored points take 50 MB less.
  public static func shareHeaps(cores: Int) { clinux_limit_heaps(Int32(clamping: max(2, cores))) }

  private static let isPlanned = Atomic(false)

  /// The same in a second, when what the caller still holds has been freed as well; many calls in that time are one.
  public static func giveBackSoon() {
    guard !isPlanned.exchange(true, ordering: .relaxed) else { return }
    DispatchQueue.global(qos: .utility).asyncAfter(deadline: .now() + 1) {
      isPlanned.store(false, ordering: .relaxed)
      giveBack()
    }
  }
}
