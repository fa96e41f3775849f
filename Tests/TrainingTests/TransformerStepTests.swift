import Contrastive
import Encoder
import SimilarityCore
import TestSupport
import Testing
import Training

/// Steps on a whole transformer, with dropout.
@Suite struct TransformerStepTests {
  private static let folder = "\(ModelFolder.repository)/Tests/EncoderTests/Families/bert"

  /// 40 pairs with a negative for each query, several blocks in all.
  private static func batch() -> TokenBatch {
    var random = Seeded(61)
    func text() -> TokenSequence {
      TokenSequence(
        [2] + (0..<Int.random(in: 3...60, using: &random)).map { _ in Int32.random(in: 5..<28, using: &random) } + [3])
    }
    let queries = (0..<40).map { _ in text() }
    return TokenBatch(
      queries: queries, positives: queries.map { _ in text() }, negatives: queries.map { _ in [text()] })
  }

  @Test(arguments: [nil, 4]) func gradientsDependNeitherOnMemoryNorOnThreads(_ rank: Int?) throws {
    let encoder = try TrainableEncoder(folder: Self.folder, dropout: 0.1)
    let batch = Self.batch()
    var options = StepOptions(.infonce, temperature: 0.05)
    (options.learnsTemperature, options.adapterRank) = (true, rank)
    func bits(_ tokens: Int, _ threads: Int, usesDropout: Bool = true) throws -> [UInt32] {
      (options.chunkTokens, options.usesDropout) = (tokens, usesDropout)
      let step = try TrainingStep(model: encoder.model, options: options, crew: Crew(threads: threads))
      let loss = try step.gradients(of: batch, step: 5).loss
      return [Float(loss).bitPattern] + step.trained.flatMap { $0.gradients.values.map(\.bitPattern) }
    }
    let expected = try bits(.max, 1)
    #expect(expected.dropFirst().contains { $0 != 0 })
    for (tokens, threads) in [(1, 1), (100, 2), (1500, 1), (.max, 2), (1, 3)] {
      #expect(try bits(tokens, threads) == expected, "\(tokens) tokens, \(threads) threads")
    }
    #expect(try bits(.max, 1, usesDropout: false) != expected)
  }
}
