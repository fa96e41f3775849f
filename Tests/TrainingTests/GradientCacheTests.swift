import Contrastive
import Encoder
import SimilarityCore
import TestSupport
import Testing
import Training

@Suite struct GradientCacheTests {
  @Test func blocksEndAtATextWithEnoughTokens() {
    #expect(Blocks(lengths: []).ranges == [])
    #expect(Blocks(lengths: [0, 3]).ranges == [0..<2])
    #expect(Blocks(lengths: [1024, 1023, 1, 5]).ranges == [0..<1, 1..<3, 3..<4])
    #expect(Blocks(lengths: [1000, 2000, 24, 999, 1]).ranges == [0..<2, 2..<5])
  }

  /// 60 queries with a positive and a negative each, of about 40 tokens.
  static func batch(_ vocabulary: Int32) -> TokenBatch {
    var random = Seeded(23)
    func text() -> TokenSequence {
      TokenSequence(
        (0..<Int.random(in: 20...60, using: &random)).map { _ in
          Int32.random(in: 0..<vocabulary, using: &random)
        })
    }
    let queries = (0..<60).map { _ in text() }
    return TokenBatch(
      queries: queries, positives: queries.map { _ in text() }, negatives: queries.map { _ in [text()] })
  }

  static func table(_ vocabulary: Int, _ dimension: Int, dropout: Float = 0) -> TrainableTable {
    var random = Seeded(29)
    let initial = random.floats(vocabulary * dimension)
    return TrainableTable(vocabularySize: vocabulary, dimension: dimension, dropout: dropout) { values in
      for (place, value) in initial.enumerated() { values.values[place] = value }
    }
  }

  /// The bytes of all gradients and the loss.
  private func bits(_ options: StepOptions, _ model: any TrainableModel, _ batch: TokenBatch, threads: Int) throws
    -> [UInt32]
  {
    let step = try TrainingStep(model: model, options: options, crew: Crew(threads: threads))
    let loss = try step.gradients(of: batch, step: 2).loss
    return [Float(loss).bitPattern] + step.trained.flatMap { $0.gradients.values.map(\.bitPattern) }
  }

  @Test(arguments: [Objective.infonce, .moco, .dcl]) func gradientsDependNeitherOnMemoryNorOnThreads(
    _ objective: Objective
  ) throws {
    let batch = Self.batch(300)
    let models: [any TrainableModel] = [
      Self.table(300, 150, dropout: 0.1),
      {
        var random = Seeded(31)
        return DenseTable(vocabulary: 300, inner: 20, dimension: 24, dropout: 0.2) { random.floats($0) }
      }(),
    ]
    for model in models {
      var options = StepOptions(objective, temperature: 0.1)
      options.learnsTemperature = true
      options.chunkTokens = .max
      let expected = try bits(options, model, batch, threads: 1)
      #expect(expected.contains { $0 != 0 })
      for (tokens, threads) in [(1, 1), (100, 1), (2500, 1), (.max, 2), (.max, 3), (1, 3), (2500, 2)] {
        options.chunkTokens = tokens
        #expect(try bits(options, model, batch, threads: threads) == expected, "\(tokens) tokens, \(threads) threads")
      }
    }
  }

  /// The first blocks are kept as far as there is room, and the others go through the model twice.
  @Test func onlyWhatHasRoomIsKept() throws {
    var random = Seeded(37)
    let model = DenseTable(vocabulary: 20, inner: 4, dimension: 4) { random.floats($0) }
    let text = TokenSequence([Int32](repeating: 3, count: 512))
    let values = try FloatArray(model.layout.count)
    try model.load(into: values)
    let gradients = try FloatArray(model.layout.count)
    let cache = GradientCache(
      model, [TokenSequence](repeating: text, count: 7), dropout: nil, chunkTokens: 2047)
    let rows = try cache.forward(values, keeps: true, .alone)
    #expect(rows.rows == 7 && cache.keptBlocks == 1)
    try cache.backward(rows, values, from: 0, into: gradients, .alone)
    #expect(cache.keptBlocks == 0)
    let calls = model.calls.withLock { $0.map { "\($0.count)\($0.keeps ? "k" : "")" } }
    #expect(calls == ["2k", "2", "2", "1", "2k", "2k", "1k"])
  }

  @Test func failuresNameTheTextOfTheBatch() throws {
    let model = Self.table(10, 4)
    let values = try FloatArray(model.layout.count)
    var texts = [TokenSequence](repeating: TokenSequence([Int32](repeating: 1, count: 600)), count: 6)
    texts[4] = TokenSequence([10])
    #expect(throws: EncodingFailure.invalidInput(4)) {
      try GradientCache(model, texts, dropout: nil, chunkTokens: 1).forward(values, keeps: false, .alone)
    }
    texts[4] = TokenSequence([2])
    values.values[2 * 4 + 1] = .infinity
    #expect(throws: EncodingFailure.notFinite(4)) {
      try GradientCache(model, texts, dropout: nil, chunkTokens: 1).forward(values, keeps: false, .alone)
    }
  }
}
