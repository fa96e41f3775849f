import Platform
import Safetensors
import VectorStore

/// What a service is started with.
public struct ServiceConfiguration: Sendable {
  /// Work queues, and so cores that encode, score and search at the same time.
  public var threads: Int
  public var limits: Limits
  /// The opened collections; nil for new ones in memory.
  public var store: CollectionStore?
  /// Bytes that the header of an export may have; what readers of the format take, and less in tests.
  public var longestExportHeader = SafetensorsHead.longest
  /// Monotonic nanoseconds, by which answers under an `Idempotency-Key` and versions kept for exports expire.
  public var clock: @Sendable () -> UInt64

  public init(
    threads: Int, limits: Limits = Limits(), clock: @escaping @Sendable () -> UInt64 = { SystemClock.monotonic }
  ) {
    self.threads = max(1, threads)
    self.limits = limits
    self.clock = clock
  }
}
