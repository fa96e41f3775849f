import Contrastive
import Encoder
import Platform
import SimilarityCore

/// The loop of a training: batch, gradients, optimiser, and between the steps evaluations and checkpoints.
///
/// A run that goes on from a checkpoint ends with the bytes of one that was not interrupted.
package final class Trainer {
  /// What happens while a training runs, for who watches it.
  package enum Event: Sendable {
    /// - Parameters:
    ///   - seconds: what the step took.
    ///   - last: the step that the training ends with.
    case step(StepMetrics, seconds: Double, last: Int)
    /// - Parameter rows: the vectors of the held-out queries and documents.
    case evaluation(EvaluationMetrics, isBest: Bool, rows: RetrievalSet.Rows)
    case checkpoint(step: Int)
  }

  /// How a training ended.
  package enum Outcome: Sendable, Equatable {
    /// All steps were made.
    case finished
    /// There was no better evaluation for a while.
    case stoppedEarly
    /// It was asked to stop, and has written a checkpoint.
    case interrupted
  }

  let options: TrainerOptions
  let training: TrainingStep
  let crew: Crew
  let optimizer: AdamW
  package let metrics: MetricsFile
  let checkpoints: any CheckpointStore
  private let heldOut: RetrievalSet?
  /// The vectors of ``heldOut`` before the first step, where they are known; nil behind the first evaluation.
  private var firstRows: RetrievalSet.Rows?
  private let schedule: Schedule
  private let watch: (Event) -> Void
  private let isAskedToStop: () -> Bool
  var course: BatchCourse
  var stopping: EarlyStopping
  /// The steps that were made.
  package internal(set) var step = 0
  /// The step that the training ends with.
  package let last: Int
  /// The value and the step of the best evaluation.
  package var best: (value: Double, step: Int)? { stopping.best }
  /// The step of the latest checkpoint; nil where there is none.
  var saved: Int?

  /// - Parameters:
  ///   - heldOut: the pairs of evaluations; nil for a training without them.
  ///   - firstRows: their vectors by the model as it is now, where somebody has computed them already.
  ///   - checkpoints: of them the latest is gone on from, where there is one.
  ///   - openMetrics: opens the metrics, given the step that is gone on from.
  ///   - isAskedToStop: is called behind each step.
  /// - Throws: ``RunError`` where the set or the checkpoint does not fit, and ``EncodingFailure/outOfMemory``.
  package init(
    _ training: TrainingStep, _ set: TokenizedSet, heldOut: RetrievalSet?, firstRows: RetrievalSet.Rows? = nil,
    _ options: TrainerOptions, crew: Crew, checkpoints: any CheckpointStore,
    metrics openMetrics: (_ last: Int?) throws -> MetricsFile,
    watch: @escaping (Event) -> Void, isAskedToStop: @escaping () -> Bool
  ) throws {
    var order = BatchOrder.Options(batchSize: options.batch)
    order.seed = options.seed
    order.shuffles = options.shuffles
    course = try BatchCourse(set, BatchOrder(set, order))
    last = options.steps(batches: course.batchesOfAnEpoch)
    schedule = options.schedule(steps: last)
    optimizer = try AdamW(training.trained, options.optimizer)
    stopping = EarlyStopping(patience: options.patience)
    (self.options, self.training, self.heldOut, self.crew) = (options, training, heldOut, crew)
    self.firstRows = firstRows
    self.checkpoints = checkpoints
    (self.watch, self.isAskedToStop) = (watch, isAskedToStop)
    let place = try checkpoints.load(into: Self.arrays(training, optimizer))
    metrics = try openMetrics(place?.step)
    if let place { try go(to: place) }
  }

  /// Trains to the end, or until it is asked to stop.
  ///
  /// - Throws: ``RunError`` where a loss or a gradient is not finite, and where a file cannot be written: checkpoints are as they
  ///   were; what the model and the loss throw.
  package func run() throws -> Outcome {
    do {
      return try makeSteps()
    } catch let error as TrainingFailure {
      throw RunError(
        "\(error); " + (saved.map { "the checkpoint of step \($0) is kept" } ?? "there is no checkpoint yet"))
    }
  }

  private func makeSteps() throws -> Outcome {
    // A checkpoint is written behind this evaluation, never before it.
    if saved == nil { try evaluate() }
    firstRows = nil
    while step < last {
      if stopping.stops { return try end(.stoppedEarly) }
      if isAskedToStop() { return try end(.interrupted) }
      try makeStep()
      if step == last || isDue { try evaluate() }
      if step % max(1, options.checkpointSteps) == 0 { try save() }
    }
    return try end(.finished)
  }

  private func end(_ outcome: Outcome) throws -> Outcome {
    if saved != step { try save() }
    return outcome
  }

  /// Whether an evaluation is due behind the present step.
  private var isDue: Bool { options.evaluationSteps.map { step % max(1, $0) == 0 } ?? course.endsEpoch }

  private func makeStep() throws {
    let began = SystemClock.monotonic
    let batch = course.take()
    // Steps are counted from 0 where something depends on them, and from 1 where people read them.
    let result = try gradients(of: batch)
    let rate = schedule.rate(at: step)
    let norm = try crew.work { team throws(TrainingFailure) in
      try optimizer.step(step + 1, loss: result.loss, rate: rate, team)
    }
    try training.finish(step: step)
    step += 1
    let taken = Double(SystemClock.monotonic &- began) / 1e9
    let measured = StepMetrics(
      step: step, epoch: course.epochs, loss: result.loss, accuracy: result.accuracy,
      temperature: result.temperature.map { Double($0) }, rate: rate, gradientNorm: norm, pairs: batch.queries.count,
      tokens: result.tokens)
    try metrics.append(measured, seconds: taken)
    watch(.step(measured, seconds: taken, last: last))
  }

  /// - Throws: with the number of the step what its texts or its vectors are at fault for.
  private func gradients(of batch: TokenBatch) throws -> StepResult {
    do {
      return try training.gradients(of: batch, step: step)
    } catch EncodingFailure.notFinite {
      throw TrainingFailure.notFinite(step: step + 1, what: "the vector of a text")
    } catch let error as ContrastiveError {
      throw RunError("step \(step + 1): \(error.parameter): \(error.reason)")
    }
  }

  private func evaluate() throws {
    guard let heldOut else { return }
    let rows = try firstRows ?? heldOut.rows { try training.embed($0) }
    let values = try Evaluation(
      queries: rows.queries, documents: rows.documents, own: heldOut.own, threads: crew.threads)
    let measured = EvaluationMetrics(step: step, values: values)
    let isBest = stopping.take(values.meanReciprocalRank, step: step)
    try metrics.append(measured)
    // The best model is written before a checkpoint knows of it. A run that goes on from the checkpoint before it finds the
    // same best model again, at the same step.
    if isBest { try checkpoints.saveBest(try training.valuesToSave(), place) }
    watch(.evaluation(measured, isBest: isBest, rows: rows))
  }

  private func save() throws {
    for array in training.trained {
      guard Kernels.active.isFinite(array.values.start, count: array.values.count) else {
        throw RunError("step \(step): \(array.name) has values that are not finite; the checkpoint before it is kept")
      }
    }
    try metrics.flush()
    try checkpoints.save(place, Self.arrays(training, optimizer))
    saved = step
    watch(.checkpoint(step: step))
  }
}
