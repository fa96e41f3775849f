import Encoder
import Platform

/// The checkpoints of a run, in the folder `checkpoints` of its output.
final class RunCheckpoints: CheckpointStore {
  static let name = "checkpoints"

  /// What the folder is called while it is removed: a folder that is removed in part must not look like that of a run.
  static let removedName = ".removed-checkpoints"

  private let output: String
  private let folder: RunFolder
  private let options: [RunState.Option]
  private let resumes: Bool
  private let say: (String) -> Void
  /// The name of the array that the best model is kept as.
  private static let best = "model"

  /// - Parameters:
  ///   - options: what a checkpoint must have been written with.
  ///   - say: is told of checkpoints that are damaged.
  init(
    _ output: String, _ options: [RunState.Option], resumes: Bool, say: @escaping (String) -> Void
  ) throws(CheckpointError) {
    folder = try RunFolder("\(output)/\(Self.name)")
    (self.output, self.options, self.resumes, self.say) = (output, options, resumes, say)
  }

  func save(_ place: TrainingPlace, _ arrays: [(name: String, array: FloatArray)]) throws {
    try folder.save(state(place), arrays)
  }

  func saveBest(_ values: FloatArray, _ place: TrainingPlace) throws {
    try folder.saveBest(state(place), [(Self.best, values)])
  }

  func load(into arrays: [(name: String, array: FloatArray)]) throws -> TrainingPlace? {
    guard resumes, let found = try newest() else { return nil }
    try found.restore(into: arrays)
    let state = found.state
    var place = TrainingPlace()
    (place.step, place.epoch, place.batch) = (state.step, state.epoch, state.batch)
    (place.bestValue, place.bestStep) = (state.best, state.bestStep)
    place.optimizerSteps = state.numbers["optimizer_steps"] ?? state.step
    place.since = state.numbers["evaluations_since_best"] ?? 0
    return place
  }

  /// The newest checkpoint, whose options are checked before a model is loaded for it.
  ///
  /// - Throws: ``CheckpointError`` naming an option that differs.
  func newest() throws(CheckpointError) -> SavedRun? {
    let found = try folder.newest { say("\($0); going on from the checkpoint before it") }
    try found?.state.check(options)
    return found
  }

  /// The step and the values of the best model; nil where none was kept.
  func best(into values: FloatArray) throws(CheckpointError) -> Int? {
    guard let found = try folder.best() else { return nil }
    try found.restore(into: [(Self.best, values)])
    return found.state.step
  }

  /// Removes all of them.
  func removeAll() throws(CheckpointError) {
    try FileOperations().rename("\(output)/\(Self.name)", to: "\(output)/\(Self.removedName)")
    try Self.removeLeftovers(output)
  }

  /// Removes what is left of a folder whose removal was interrupted.
  static func removeLeftovers(_ output: String) throws(CheckpointError) {
    try FileOperations().remove("\(output)/\(removedName)")
  }

  private func state(_ place: TrainingPlace) -> RunState {
    RunState(
      step: place.step, epoch: place.epoch, batch: place.batch, best: place.bestValue, bestStep: place.bestStep,
      numbers: ["optimizer_steps": place.optimizerSteps, "evaluations_since_best": place.since], options: options)
  }
}
