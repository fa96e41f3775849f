import CLinux
import Dispatch
import Synchronization

/// Memory that was freed and that the C library keeps for later.
enum FreedMemory {
  /// Gives it back to the system. Batches come in buffers of many megabytes, of which the library would keep some for every
  /// thread.
  static func giveBack() { clinux_give_back_memory() }

  private static let isPlanned = Atomic(false)

  /// The same in a second, when what the caller still holds has been freed as well; many calls in that time are one.
  static func giveBackSoon() {
    guard !isPlanned.exchange(true, ordering: .relaxed) else { return }
    DispatchQueue.global(qos: .utility).asyncAfter(deadline: .now() + 1) {
      isPlanned.store(false, ordering: .relaxed)
      giveBack()
    }
  }
}
