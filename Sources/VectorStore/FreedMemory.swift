import CLinux

/// Memory that was freed and that the C library keeps for later.
enum FreedMemory {
  /// Gives it back to the system. Batches come in buffers of many megabytes, of which the library would keep some for every
  /// thread.
  static func giveBack() { clinux_give_back_memory() }
}
