import Encoder
import Platform
import SimilarityCore
import TestSupport
import Testing
import Training

/// The loop of a training, over a table of vectors and with checkpoints in memory.
struct TrainerTests {
  /// Keeps checkpoints in memory.
  private final class MemoryStore: CheckpointStore {
    var kept: (place: TrainingPlace, values: [String: [Float]])?
    var best: (step: Int, values: [Float])?
    var saves: [Int] = []

    func save(_ place: TrainingPlace, _ arrays: [(name: String, array: FloatArray)]) {
      kept = (place, Dictionary(uniqueKeysWithValues: arrays.map { ($0.name, Array($0.array.values)) }))
      saves.append(place.step)
    }

    func load(into arrays: [(name: String, array: FloatArray)]) throws -> TrainingPlace? {
      guard let kept else { return nil }
      #expect(Set(kept.values.keys) == Set(arrays.map(\.name)))
      for (name, array) in arrays {
        for (place, value) in try #require(kept.values[name]).enumerated() { array.values[place] = value }
      }
      return kept.place
    }

    func saveBest(_ values: FloatArray, _ place: TrainingPlace) { best = (place.step, Array(values.values)) }
  }

  private static let kinds = ["far", "green", "near", "old", "red", "wet"]
  private static let things = ["bread", "cat", "day", "door", "hill", "lamp", "river", "wind"]

  private let folder: String
  private let examples: ExampleSet
  private var options = TrainerOptions()

  init() throws {
    var name = Array("/tmp/nearfar-trainer-XXXXXX".utf8CString)
    try #require(mkdtemp(&name) != nil)
    folder = String(decoding: name.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    examples = try ExampleSet(
      Self.kinds.flatMap { kind in
        Self.things.map { TrainingExample(query: "a \(kind) \($0)", positive: "this \($0) by the \(kind) hill") }
      })
    options.batch = 8
    options.rate = 0.05
    options.epochs = 2
    options.evaluationSteps = 3
    options.checkpointSteps = 4
  }

  private func remove() {
    for name in Folder.names(in: folder) ?? [] { unlink("\(folder)/\(name)") }
    rmdir(folder)
  }

  private func trainer(
    _ store: MemoryStore, _ options: TrainerOptions, _ step: StepOptions = StepOptions(.infonce, temperature: 0.1),
    watch: @escaping (Trainer.Event) -> Void = { _ in }, isAskedToStop: @escaping () -> Bool = { false }
  ) throws -> Trainer {
    let tokenizer = try tinyTokenizer()
    var random = Seeded(3)
    let initial = random.floats(tokenizer.vocabularySize * 8)
    let model = TrainableTable(vocabularySize: tokenizer.vocabularySize, dimension: 8) { values in
      for (place, value) in initial.enumerated() { values.values[place] = value }
    }
    let tokenizing = TokenizingOptions(maximumLength: 16)
    let crew = Crew(threads: 1)
    return try Trainer(
      TrainingStep(model: model, options: step, crew: crew), TokenizedSet(examples, tokenizer, tokenizing, threads: 1),
      heldOut: RetrievalSet(examples, SequenceMaker(tokenizer, tokenizing)), options, crew: crew, checkpoints: store,
      metrics: { try MetricsFile(in: folder, goingOnFrom: $0) }, watch: watch, isAskedToStop: isAskedToStop)
  }

  private func metrics() throws -> [UInt8] { try WholeFile.read("\(folder)/\(MetricsFile.name)") }

  @Test func stepsEvaluationsAndCheckpointsComeWhenTheyAreDue() throws {
    defer { remove() }
    let store = MemoryStore()
    var events: [String] = []
    let trainer = try trainer(store, options) { event in
      switch event {
      case .step(let step, _, let last): events.append("step \(step.step)/\(last)")
      case .evaluation(let evaluation, _, _): events.append("evaluation \(evaluation.step)")
      case .checkpoint(let step): events.append("checkpoint \(step)")
      }
    }
    #expect(try trainer.run() == .finished)
    var wanted = ["evaluation 0"]
    for step in 1...12 {
      wanted.append("step \(step)/12")
      if step % 3 == 0 { wanted.append("evaluation \(step)") }
      if step % 4 == 0 { wanted.append("checkpoint \(step)") }
    }
    #expect(events == wanted)
    let history = trainer.metrics.history
    #expect(history.steps.map(\.pairs) == [Int](repeating: 8, count: 12))
    let epochs = (1...12).map { (step: Int) -> Double in Double((step - 1) / 6) + Double((step - 1) % 6 + 1) / 6 }
    #expect(history.steps.map(\.epoch) == epochs)
    #expect(history.steps[11].loss < 0.5 * history.steps[0].loss)
    let values = history.evaluations.map(\.values.meanReciprocalRank)
    #expect(try #require(values.last) > values[0] + 0.2)
    #expect(store.best?.step == trainer.best?.step)
  }

  @Test(arguments: [
    StepOptions(.infonce, temperature: 0.1), StepOptions(.moco, temperature: 0.1), StepOptions(.byol),
  ])
  func aRunThatStopsAtAnyStepEndsWithTheSameBytes(_ step: StepOptions) throws {
    defer { remove() }
    var step = step
    step.queue = 20
    step.learnsTemperature = step.objective == .infonce
    let whole = MemoryStore()
    #expect(try trainer(whole, options, step).run() == .finished)
    let wanted = try metrics()
    for stop in 0..<12 {
      let store = MemoryStore()
      var steps = 0
      let first = try trainer(
        store, options, step, watch: { if case .step = $0 { steps += 1 } }, isAskedToStop: { steps == stop })
      #expect(try first.run() == .interrupted)
      #expect(store.kept?.place.step == stop)
      let second = try trainer(store, options, step)
      #expect(second.step == stop)
      #expect(try second.run() == .finished)
      #expect(try metrics() == wanted)
      #expect(store.kept?.values == whole.kept?.values && store.kept?.place == whole.kept?.place)
      #expect(store.best?.values == whole.best?.values)
    }
  }

  @Test func patienceEndsARunThatGetsNoBetter() throws {
    defer { remove() }
    var options = options
    (options.rate, options.patience, options.evaluationSteps, options.epochs) = (0, 2, 2, 10)
    let store = MemoryStore()
    let trainer = try trainer(store, options)
    #expect(try trainer.run() == .stoppedEarly)
    #expect(trainer.step == 4 && store.best?.step == 0 && store.saves == [4])
    // Going on from there ends at once.
    let again = try self.trainer(store, options)
    #expect(try again.run() == .stoppedEarly && again.step == 4)
  }

  @Test func valuesThatAreNotFiniteStopTheRunAndLeaveTheCheckpoint() throws {
    defer { remove() }
    var options = options
    (options.warmup, options.checkpointSteps) = (.steps(0), 1)
    let store = MemoryStore()
    #expect(try trainer(store, options, isAskedToStop: { store.saves.last == 3 }).run() == .interrupted)
    let kept = try #require(store.kept)
    store.kept?.values["model.values"]?[16 * 8] = .infinity
    #expect(throws: RunError.self) { try trainer(store, options).run() }
    store.kept = kept
    (options.rate, options.optimizer.largestNorm) = (3e38, nil)
    #expect(throws: RunError.self) { try trainer(store, options).run() }
    #expect(store.kept?.values == kept.values && store.kept?.place.step == 3)
  }

  @Test func stepsWithoutEpochsGoOnAsLongAsTheyLast() throws {
    defer { remove() }
    var options = options
    (options.epochs, options.steps, options.evaluationSteps) = (nil, 15, nil)
    let trainer = try trainer(MemoryStore(), options)
    #expect(try trainer.run() == .finished && trainer.last == 15)
    // Evaluations stand before the first step, behind each epoch and behind the last step.
    #expect(trainer.metrics.history.evaluations.map(\.step) == [0, 6, 12, 15])
    options.epochs = 1
    #expect(try self.trainer(MemoryStore(), options).last == 6)
  }
}
