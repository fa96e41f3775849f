/// How long a training goes on, and what happens between its steps.
package struct TrainerOptions: Sendable {
  /// The steps over which the learning rate rises.
  package enum Warmup: Sendable, Equatable {
    /// From 0 to 1, of all steps.
    case share(Double)
    case steps(Int)
  }

  /// The most examples of a batch.
  package var batch = 64
  /// How often every example is seen; nil for as often as ``steps`` asks for.
  package var epochs: Int? = 1
  /// The most steps; nil for as many as ``epochs`` have.
  package var steps: Int?
  package var shuffles = true
  package var seed: UInt64 = 42
  package var schedule = Schedule.Kind.linear
  package var rate = 2e-5
  package var warmup = Warmup.share(0.1)
  package var optimizer = AdamW.Options()
  /// The steps between two evaluations; nil for one behind each epoch. There is one more before the first step and behind the
  /// last one.
  package var evaluationSteps: Int?
  /// The evaluations without a new best after which training stops; nil for none.
  package var patience: Int?
  /// The steps between two checkpoints.
  package var checkpointSteps = 100

  package init() {}

  /// The number of all steps.
  ///
  /// - Parameter batches: the number of batches of the first epoch. Another epoch may have some more or fewer, where texts occur
  ///   several times.
  func steps(batches: Int) -> Int {
    guard let epochs else { return steps ?? batches }
    let (all, overflow) = epochs.multipliedReportingOverflow(by: batches)
    return min(overflow ? .max : all, steps ?? .max)
  }

  func schedule(steps: Int) -> Schedule {
    let rise =
      switch warmup {
      case .share(let share): Schedule.warmup(share: share, of: steps)
      case .steps(let count): count
      }
    return Schedule(schedule, peak: rate, warmup: rise, steps: steps)
  }
}
