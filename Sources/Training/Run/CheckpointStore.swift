import Encoder

/// Where a training keeps what it goes on from.
package protocol CheckpointStore: AnyObject {
  /// Keeps the place and the values of these arrays, all of them or none, in place of the checkpoint before.
  func save(_ place: TrainingPlace, _ arrays: [(name: String, array: FloatArray)]) throws

  /// Reads the arrays of the latest checkpoint.
  ///
  /// - Returns: its place; nil where there is none, and the arrays are as they were.
  func load(into arrays: [(name: String, array: FloatArray)]) throws -> TrainingPlace?

  /// Keeps the values of the model that was best in evaluations.
  func saveBest(_ values: FloatArray, _ place: TrainingPlace) throws
}

/// How far a training has come.
package struct TrainingPlace: Sendable, Equatable {
  /// The steps that were made.
  package var step = 0
  /// The steps of the optimiser.
  package var optimizerSteps = 0
  /// The epoch, and the batches of it that were taken.
  package var epoch = 0
  package var batch = 0
  /// The value and the step of the best evaluation; nil where there was none.
  package var bestValue: Double?
  package var bestStep: Int?
  /// The evaluations since the best one.
  package var since = 0

  package init() {}
}

extension Trainer {
  /// Everything that changes from step to step, by the names that checkpoints have for it.
  static func arrays(_ training: TrainingStep, _ optimizer: AdamW) -> [(name: String, array: FloatArray)] {
    training.trained.map { ("\($0.name).values", $0.values) } + optimizer.state + training.kept
  }

  var place: TrainingPlace {
    var place = TrainingPlace()
    place.step = step
    place.optimizerSteps = optimizer.steps
    (place.epoch, place.batch) = course.place
    (place.bestValue, place.bestStep) = (stopping.best?.value, stopping.best?.step)
    place.since = stopping.since
    return place
  }

  /// Goes on from the place of a checkpoint whose arrays have been read.
  ///
  /// - Throws: ``RunError`` for a place that there is not.
  func go(to place: TrainingPlace) throws(RunError) {
    try course.go(to: (place.epoch, place.batch))
    step = place.step
    saved = place.step
    optimizer.steps = place.optimizerSteps
    var best: (value: Double, step: Int)?
    if let value = place.bestValue, let step = place.bestStep { best = (value, step) }
    stopping = EarlyStopping(patience: options.patience, best: best, since: place.since)
  }
}
