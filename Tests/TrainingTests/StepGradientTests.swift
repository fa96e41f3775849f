import Contrastive
import Encoder
import SimilarityCore
import TestSupport
import Testing
import Training

/// A step on a small model, with all that is needed to compute it another way.
struct StepCase: Sendable, CustomTestStringConvertible {
  var objective: Objective
  var negatives = 0
  var learnsTemperature = false
  var rank: Int?
  var hasDense = false

  var testDescription: String {
    "\(objective), \(negatives) negatives\(learnsTemperature ? ", temperature" : "")\(hasDense ? ", dense" : "")"
      + (rank.map { ", rank \($0)" } ?? "")
  }

  static let all: [StepCase] =
    Objective.allCases.map { StepCase(objective: $0) }
    + [.infonce, .dcl, .moco].map { StepCase(objective: $0, negatives: 2, learnsTemperature: true) }
    + [.symmetric, .ntXent, .supcon, .sigmoid].map { StepCase(objective: $0, learnsTemperature: true) }
    + [.infonce, .moco, .byol].map { StepCase(objective: $0, hasDense: true) }
    + [.infonce, .simsiam].map { StepCase(objective: $0, rank: 2, hasDense: true) }

  var options: StepOptions {
    var options = StepOptions(objective, temperature: 0.3, momentum: 0.75)
    (options.learnsTemperature, options.adapterRank) = (learnsTemperature, rank)
    (options.bias, options.queue, options.predictorWidth, options.adapterAlpha) = (
      -1, 6, 8, rank.map { Float($0) * 1.5 }
    )
    return options
  }

  static let vocabulary = 9

  func model(_ seed: UInt64) -> any TrainableModel {
    var random = Seeded(seed)
    if hasDense {
      return DenseTable(vocabulary: Self.vocabulary, inner: 5, dimension: 6) { random.floats($0) }
    }
    let initial = random.floats(Self.vocabulary * 6)
    return TrainableTable(vocabularySize: Self.vocabulary, dimension: 6) { values in
      for (place, value) in initial.enumerated() { values.values[place] = value }
    }
  }

  /// Five queries, of which some share a class.
  func batch(_ seed: UInt64) -> TokenBatch {
    var random = Seeded(seed)
    func text() -> TokenSequence {
      TokenSequence(
        (0..<Int.random(in: 1...5, using: &random)).map { _ in
          Int32.random(in: 0..<Int32(Self.vocabulary), using: &random)
        })
    }
    let queries = (0..<5).map { _ in text() }
    return TokenBatch(
      queries: queries, positives: queries.map { _ in text() },
      negatives: negatives == 0 ? [] : queries.map { _ in (0..<negatives).map { _ in text() } },
      labels: objective == .supcon ? [4, 1, 4, 7, 1] : nil)
  }
}

@Suite struct StepGradientTests {
  /// Every derivative agrees with central differences of the loss in f64, relative to the tensor's largest one.
  @Test(arguments: StepCase.all) func gradientsAreTheSlopesOfTheLoss(_ test: StepCase) throws {
    let model = test.model(3)
    let step = try TrainingStep(model: model, options: test.options, crew: .alone)
    // Adapters begin with B = 0, at which A has no derivative.
    if let adapters = step.trained.first(where: { $0.name == "adapters" }) {
      var random = Seeded(5)
      for (place, value) in random.floats(adapters.values.count).enumerated() { adapters.values.values[place] = value }
    }
    let base = try FloatArray(model.layout.count)
    try model.load(into: base)
    // The following copy and the queue differ from what they were at first.
    if !step.kept.isEmpty {
      _ = try step.gradients(of: test.batch(11), step: 0)
      for array in step.trained where array.name == "model" {
        for place in 0..<array.values.count { array.values.values[place] -= 0.5 * array.gradients.values[place] }
      }
      try step.finish(step: 0)
    }
    let batch = test.batch(7)
    let reference = ReferenceStep(step, model, batch, base: Array(base.values))
    let result = try step.gradients(of: batch, step: 1)
    #expect(abs(result.loss - reference.loss()) <= 1e-5, "\(result.loss), not \(reference.loss())")
    #expect(result.texts == 10 + 5 * test.negatives)
    #expect(
      result.tokens == (batch.queries + batch.positives + batch.negatives.flatMap { $0 }).reduce(0) { $0 + $1.count })
    for array in step.trained {
      let slopes = reference.slopes(array.name)
      for entry in array.layout.entries {
        let largest = entry.range.reduce(0) { max($0, abs(slopes[$1])) }
        #expect(largest > 1e-6, "\(array.name) \(entry.name) has no derivative to speak of")
        for place in entry.range {
          let difference = abs(Double(array.gradients.values[place]) - slopes[place])
          #expect(
            difference <= 2e-5 * largest + 1e-7,
            "\(entry.name)[\(place - entry.start)]: \(array.gradients.values[place]), not \(slopes[place])")
        }
      }
    }
  }

  /// With dropout the loss of a step is a function of the parameters all the same, whose slopes are taken in f32: the mask follows
  /// from the seed and the number of the step.
  @Test(arguments: [Objective.infonce, .ntXent, .byol], [true, false]) func dropoutHasTheMaskOfItsStep(
    _ objective: Objective, hasDense: Bool
  ) throws {
    var random = Seeded(13)
    let initial = random.floats(9 * 16)
    let model: any TrainableModel =
      hasDense
      ? DenseTable(vocabulary: 9, inner: 12, dimension: 6, dropout: 0.3) { random.floats($0) }
      : TrainableTable(vocabularySize: 9, dimension: 16, dropout: 0.3) { values in
        for (place, value) in initial.enumerated() { values.values[place] = value }
      }
    var options = StepOptions(objective, temperature: 0.5)
    options.predictorWidth = 8
    let step = try TrainingStep(model: model, options: options, crew: .alone)
    var batch = StepCase(objective: objective).batch(17)
    // SimCSE: the same texts twice.
    batch.positives = batch.queries
    let array = try #require(step.trained.first)
    _ = try step.gradients(of: batch, step: 3)
    let gradients = Array(array.gradients.values)
    let largest = gradients.reduce(0) { max($0, abs($1)) }
    func loss(_ place: Int, _ change: Float) throws -> Double {
      let value = array.values.values[place]
      defer { array.values.values[place] = value }
      array.values.values[place] += change
      return try step.gradients(of: batch, step: 3).loss
    }
    let places = model.layout.entries.flatMap { Array($0.range) }
    let change: Float = objective == .byol ? 0.0005 : 0.002
    let near = try places.filter { place in
      // Differences of the fourth order, with steps that are large against the rounding of f32.
      let near = try loss(place, change) - loss(place, -change)
      let far = try loss(place, 2 * change) - loss(place, -2 * change)
      let slope = (8 * near - far) / Double(12 * change)
      return abs(Double(gradients[place]) - slope) <= 2e-3 * Double(largest)
    }
    // Within a step some value may cross the kink of the predictor's ReLU, where the loss has no slope.
    #expect(
      near.count >= (objective == .byol ? places.count * 9 / 10 : places.count), "\(near.count) of \(places.count)")
    // Another step has other masks, and so has another seed.
    let here = try step.gradients(of: batch, step: 3).loss
    #expect(try step.gradients(of: batch, step: 3).loss == here)
    #expect(try step.gradients(of: batch, step: 4).loss != here)
    options.seed += 1
    let other = try TrainingStep(model: model, options: options, crew: .alone)
    #expect(try other.gradients(of: batch, step: 3).loss != here)
    // Without dropout the two sides of a text are equal.
    options.usesDropout = false
    let plain = try TrainingStep(model: model, options: options, crew: .alone)
    #expect(try plain.gradients(of: batch, step: 3).loss == plain.gradients(of: batch, step: 4).loss)
  }
}
