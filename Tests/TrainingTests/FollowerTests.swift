import Contrastive
import Encoder
import SimilarityCore
import TestSupport
import Testing
import Training

/// The copy of a model that follows it, MoCo's queue, and the limits of what is trained.
@Suite struct FollowerTests {
  /// A table of four rows whose mean rows are easily known.
  private func table() -> TrainableTable {
    let rows: [[Float]] = [[1, 0], [0, 1], [0.6, 0.8], [-1, 0]]
    return TrainableTable(vocabularySize: 4, dimension: 2) { values in
      for (place, value) in rows.flatMap({ $0 }).enumerated() { values.values[place] = value }
    }
  }

  private func texts(_ ids: [Int32]) -> [TokenSequence] { ids.map { TokenSequence([$0]) } }

  @Test func theQueueHoldsTheLatestKeysOldestFirst() throws {
    var options = StepOptions(.moco)
    options.queue = 3
    let step = try TrainingStep(model: table(), options: options, crew: .alone)
    let array = try #require(step.kept.first { $0.name == "queue" }).array
    func expect(_ rows: [Float], count: Float, next: Float) {
      #expect(Array(array.values.prefix(rows.count)) == rows)
      #expect(Array(array.values.suffix(2)) == [count, next])
    }
    expect([], count: 0, next: 0)
    // With an empty queue the positive is the only candidate.
    let first = try step.gradients(of: TokenBatch(queries: texts([0, 1]), positives: texts([1, 2])), step: 0)
    #expect(first.loss == 0 && first.accuracy == 1)
    expect([], count: 0, next: 0)
    try step.finish(step: 0)
    expect([0, 1, 0.6, 0.8], count: 2, next: 2)
    _ = try step.gradients(of: TokenBatch(queries: texts([0, 1]), positives: texts([3, 0])), step: 1)
    try step.finish(step: 1)
    // The oldest row is the one at the place of the next.
    expect([1, 0, 0.6, 0.8, -1, 0], count: 3, next: 1)
    // Of more than fit the last ones stay.
    _ = try step.gradients(of: TokenBatch(queries: texts([0, 1, 2, 3]), positives: texts([0, 1, 2, 3])), step: 2)
    try step.finish(step: 2)
    expect([-1, 0, 0, 1, 0.6, 0.8], count: 3, next: 1)
    // A step that was not finished leaves the queue as it was.
    _ = try step.gradients(of: TokenBatch(queries: texts([0, 1]), positives: texts([3, 0])), step: 3)
    expect([-1, 0, 0, 1, 0.6, 0.8], count: 3, next: 1)
  }

  /// A step that goes on from the arrays of another one has the same bytes.
  @Test(arguments: [Objective.moco, .byol]) func theKeptArraysAreAllThatIsRemembered(_ objective: Objective) throws {
    let test = StepCase(objective: objective)
    let model = test.model(3)
    func move(_ step: TrainingStep, _ number: Int) throws -> StepResult {
      let result = try step.gradients(of: test.batch(UInt64(number)), step: number)
      for array in step.trained {
        for place in 0..<array.values.count { array.values.values[place] -= 0.1 * array.gradients.values[place] }
      }
      try step.finish(step: number)
      return result
    }
    let first = try TrainingStep(model: model, options: test.options, crew: .alone)
    for number in 0..<3 { _ = try move(first, number) }
    let second = try TrainingStep(model: model, options: test.options, crew: .alone)
    for (array, other) in zip(second.trained, first.trained) { array.values.copy(from: other.values) }
    for (kept, other) in zip(second.kept, first.kept) { kept.array.copy(from: other.array) }
    for number in 3..<5 { #expect(try move(first, number).loss == move(second, number).loss) }
    for (array, other) in zip(second.trained, first.trained) {
      #expect(Array(array.values.values) == Array(other.values.values))
    }
    for (kept, other) in zip(second.kept, first.kept) {
      #expect(kept.name == other.name && Array(kept.array.values) == Array(other.array.values))
    }
  }

  @Test(arguments: [Objective.moco, .byol]) func theCopyMovesByItsMomentumAlone(_ objective: Objective) throws {
    let options = StepOptions(objective, momentum: 0.75)
    let step = try TrainingStep(model: table(), options: options, crew: .alone)
    let model = try #require(step.trained.first)
    let copy = try #require(step.kept.first { $0.name == "follower" }).array
    let before = Array(copy.values)
    #expect(before == Array(model.values.values))
    _ = try step.gradients(of: TokenBatch(queries: texts([0, 1]), positives: texts([2, 3])), step: 0)
    #expect(Array(copy.values) == before)
    for place in 0..<8 { model.values.values[place] += 1 }
    // 0.75·x + 0.25·(x + 1), exactly.
    try step.finish(step: 0)
    for place in 0..<8 { #expect(copy.values[place] == 0.75 * before[place] + 0.25 * (before[place] + 1)) }
  }

  /// Keys have no derivatives behind a copy: rows of the table that only they use stay without.
  @Test func onlyQueriesOfMoCoHaveGradients() throws {
    let step = try TrainingStep(model: table(), options: StepOptions(.moco, temperature: 0.5), crew: .alone)
    let model = try #require(step.trained.first)
    for number in 0..<2 {
      _ = try step.gradients(of: TokenBatch(queries: texts([0, 1]), positives: texts([2, 3])), step: number)
      try step.finish(step: number)
    }
    let gradients = Array(model.gradients.values)
    #expect(gradients[..<4].contains { $0 != 0 })
    #expect(gradients[4..<8].allSatisfy { $0 == 0 })
  }

  @Test func frozenParametersGetNoGradients() throws {
    var random = Seeded(41)
    let model = DenseTable(vocabulary: 9, inner: 5, dimension: 6) { random.floats($0) }
    var options = StepOptions(.infonce)
    options.firstDepth = 1
    let step = try TrainingStep(model: model, options: options, crew: .alone)
    _ = try step.gradients(of: StepCase(objective: .infonce).batch(7), step: 0)
    let array = try #require(step.trained.first)
    #expect(model.layout.entries[0].range.allSatisfy { array.gradients.values[$0] == 0 })
    #expect(model.layout.entries[1].range.contains { array.gradients.values[$0] != 0 })
  }

  @Test func adaptersBeginWithTheModelAndAreMergedOnSaving() throws {
    var random = Seeded(43)
    let model = DenseTable(vocabulary: 9, inner: 5, dimension: 6) { random.floats($0) }
    var options = StepOptions(.infonce)
    (options.adapterRank, options.adapterAlpha) = (1, 2)
    let step = try TrainingStep(model: model, options: options, crew: Crew(threads: 2))
    let array = try #require(step.trained.first)
    #expect(array.layout.entries.map(\.name) == ["layer.0.lora_A.weight", "layer.0.lora_B.weight"])
    #expect(array.layout.entries.map(\.shape) == [[1, 5], [6, 1]])
    let base = try FloatArray(model.layout.count)
    try model.load(into: base)
    #expect(try Array(step.valuesToSave().values) == Array(base.values))
    let weight = model.layout.entries[1]
    let (a, b) = (array.layout.entries[0], array.layout.entries[1])
    for column in 0..<5 { array.values.values[a.start + column] = Float(column) }
    for output in 0..<6 { array.values.values[b.start + output] = 0.5 }
    let merged = try step.valuesToSave()
    for place in 0..<base.count {
      let added = weight.range.contains(place) ? Float((place - weight.start) % 5) : 0
      #expect(abs(merged.values[place] - base.values[place] - added) <= 1e-6)
    }
  }

  @Test func theTemperatureStaysAboveItsLimit() throws {
    var options = StepOptions(.infonce, temperature: 0.05)
    options.learnsTemperature = true
    let step = try TrainingStep(model: table(), options: options, crew: .alone)
    let batch = TokenBatch(queries: texts([0, 1]), positives: texts([2, 3]))
    let loss = try #require(step.trained.last)
    #expect(loss.name == "loss" && loss.layout.entries.map(\.name) == ["log_temperature"])
    let before = try #require(try step.gradients(of: batch, step: 0).temperature)
    #expect(abs(before - 0.05) < 1e-8)
    loss.values.values[0] = -20
    try step.finish(step: 0)
    let after = try #require(try step.gradients(of: batch, step: 1).temperature)
    #expect(abs(after - 0.01) < 1e-8)
  }

  @Test func optionsAndBatchesThatDoNotFitAreNamed() throws {
    func option(_ change: (inout StepOptions) -> Void) -> String? {
      var options = StepOptions(.infonce)
      change(&options)
      do {
        _ = try TrainingStep(model: table(), options: options, crew: .alone)
        return nil
      } catch let StepError.option(name, _) {
        return name
      } catch {
        return "\(error)"
      }
    }
    #expect(option { _ in } == nil)
    #expect(option { $0.temperature = 0 } == "temperature")
    #expect(option { $0.momentum = .nan } == "momentum")
    #expect(option { $0.queue = 0 } == "queue")
    #expect(option { $0.adapterRank = 4 } == "adapterRank")
    #expect(
      option {
        $0 = StepOptions(.simsiam)
        $0.learnsTemperature = true
      } == "learnsTemperature")

    func field(_ objective: Objective, _ batch: TokenBatch) throws -> String? {
      let step = try TrainingStep(model: table(), options: StepOptions(objective), crew: .alone)
      do {
        _ = try step.gradients(of: batch, step: 0)
        return nil
      } catch let error as ContrastiveError {
        return error.parameter
      }
    }
    let pair = TokenBatch(queries: texts([0, 1]), positives: texts([2, 3]))
    #expect(try field(.infonce, pair) == nil)
    #expect(try field(.infonce, TokenBatch(queries: [], positives: [])) == "queries")
    #expect(try field(.infonce, TokenBatch(queries: texts([0, 1]), positives: texts([2]))) == "positives")
    #expect(try field(.supcon, pair) == "labels")
    var grouped = pair
    grouped.negatives = [texts([2]), texts([3])]
    #expect(try field(.symmetric, grouped) == "negatives")
    // A text without tokens has no direction.
    #expect(
      try field(.infonce, TokenBatch(queries: [TokenSequence([])] + texts([1]), positives: texts([2, 3])))
        == "queries[0]")
  }
}
