import VectorStore

/// What a service is started with.
public struct ServiceConfiguration: Sendable {
  /// Work queues, and so cores that encode, score and search at the same time.
  public var threads: Int
  public var limits: Limits
  /// The opened collections; nil for new ones in memory.
  public var store: CollectionStore?
  /// Monotonic nanoseconds, by which answers under an `Idempotency-Key` expire.
  public var clock: @Sendable () -> UInt64

  public init(
    threads: Int, limits: Limits = Limits(), clock: @escaping @Sendable () -> UInt64 = { MonotonicClock.now }
  ) {
    self.threads = max(1, threads)
    self.limits = limits
    self.clock = clock
  }
}
