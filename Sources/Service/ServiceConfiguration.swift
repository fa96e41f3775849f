/// What a service is started with.
public struct ServiceConfiguration: Sendable {
  /// Work queues, and so cores that encode, score and search at the same time.
  public var threads: Int
  public var limits: Limits

  public init(threads: Int, limits: Limits = Limits()) {
    self.threads = max(1, threads)
    self.limits = limits
  }
}
