import Contrastive
import Encoder
import SimilarityCore
import TestSupport
import Testing
import Training

/// Short trainings on texts whose structure is known.
@Suite struct StepTrainingTests {
  /// Texts about one of 40 subjects. A text has five of the twelve words of its subject and some words that all share.
  private static func text(_ subject: Int, _ random: inout Seeded) -> TokenSequence {
    let words = (0..<5).map { _ in Int32(20 + subject * 12 + Int.random(in: 0..<12, using: &random)) }
    return TokenSequence(words + (0..<3).map { _ in Int32.random(in: 0..<20, using: &random) })
  }

  /// 20 pairs of texts about different subjects.
  private static func batch(_ random: inout Seeded, labels: Bool = false) -> TokenBatch {
    let subjects = Array((0..<40).shuffled(using: &random).prefix(20))
    return TokenBatch(
      queries: subjects.map { text($0, &random) }, positives: subjects.map { text($0, &random) },
      labels: labels ? subjects : nil)
  }

  private static func table(dropout: Float = 0) -> TrainableTable {
    var random = Seeded(47)
    let initial = random.floats(500 * 32)
    return TrainableTable(vocabularySize: 500, dimension: 32, dropout: dropout) { values in
      for (place, value) in initial.enumerated() { values.values[place] = value }
    }
  }

  /// The share of 40 texts, one about each subject, that find the other text about it among 40.
  private static func recall(_ step: TrainingStep) throws -> Double {
    var random = Seeded(53)
    let left = try step.embed((0..<40).map { text($0, &random) })
    let right = try step.embed((0..<40).map { text($0, &random) })
    func cosine(_ a: ArraySlice<Float>, _ b: ArraySlice<Float>) -> Float {
      let product = zip(a, b).reduce(Float(0)) { $0 + $1.0 * $1.1 }
      return product / (b.reduce(Float(0)) { $0 + $1 * $1 }).squareRoot()
    }
    let found = (0..<40).filter { query in
      let own = cosine(left.row(query), right.row(query))
      return (0..<40).allSatisfy { $0 == query || cosine(left.row(query), right.row($0)) < own }
    }
    return Double(found.count) / 40
  }

  private func train(_ step: TrainingStep, steps: Int, rate: Double, labels: Bool = false) throws -> [Double] {
    let optimiser = try AdamW(step.trained)
    var random = Seeded(59)
    var losses: [Double] = []
    for number in 0..<steps {
      let result = try step.gradients(of: Self.batch(&random, labels: labels), step: number)
      try optimiser.step(number, loss: result.loss, rate: rate)
      try step.finish(step: number)
      losses.append(result.loss)
    }
    return losses
  }

  /// Words of a subject hardly ever stand together at first, and a tenth or two of the texts find each other. Afterwards most do.
  @Test(arguments: [Objective.infonce, .symmetric, .ntXent, .dcl, .supcon, .moco, .sigmoid])
  func similarTextsFindEachOther(
    _ objective: Objective
  ) throws {
    var options = StepOptions(objective, temperature: 0.1, momentum: 0.9)
    (options.queue, options.learnsTemperature) = (64, objective == .sigmoid)
    let step = try TrainingStep(model: Self.table(dropout: 0.1), options: options, crew: Crew(threads: 2))
    let before = try Self.recall(step)
    let losses = try train(step, steps: 150, rate: 0.03, labels: objective == .supcon)
    let after = try Self.recall(step)
    #expect(before <= 0.25)
    #expect(after >= 0.975)
    switch objective {
    // The queue is empty at the first step, and holds other texts about the same subjects later.
    case .moco: #expect(losses[0] == 0 && losses[149] < 1.2)
    // Without the positive among the candidates the loss has no lower limit.
    case .dcl: #expect(losses[0] > 2 && losses[149] < -3)
    default: #expect(losses[0] > 2 && losses[149] < 0.15)
    }
  }

  /// Without negatives the two views of a text become more similar, and the vectors do not collapse to one.
  @Test(arguments: [Objective.simsiam, .byol]) func viewsAreDrawnTogetherWithoutNegatives(_ objective: Objective) throws
  {
    let step = try TrainingStep(
      model: Self.table(dropout: 0.1), options: StepOptions(objective, momentum: 0.95), crew: Crew(threads: 2))
    let before = try Self.recall(step)
    let losses = try train(step, steps: 300, rate: 0.01)
    let after = try Self.recall(step)
    #expect(before <= 0.25 && after >= 0.75)
    // From orthogonal vectors to such that have a cosine above 0.6.
    #expect(abs(losses[0] - (objective == .byol ? 2 : 0)) < 0.1)
    #expect(losses[299] < (objective == .byol ? 0.8 : -0.6))
  }
}
