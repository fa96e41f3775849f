import Platform

/// Memory that begins at a cache line. Its content is arbitrary until it is written.
// SAFETY: the pointer is constant; who shares the memory decides who may write to it.
public final class AlignedMemory: @unchecked Sendable {
  public let start: UnsafeMutableRawPointer
  public let bytes: Int

  /// - Throws: ``OutOfMemory``.
  public init(bytes: Int) throws(OutOfMemory) {
    var made: UnsafeMutableRawPointer?
    guard posix_memalign(&made, 64, max(1, bytes)) == 0, let made else { throw OutOfMemory() }
    start = made
    self.bytes = bytes
  }

  deinit { free(start) }

  /// The memory as f32.
  // SAFETY: it is aligned for every type, and only ever read as what was written there.
  public var floats: UnsafeMutablePointer<Float> { start.assumingMemoryBound(to: Float.self) }
}
