import Encoder
import SimilarityCore
import TestSupport
import Testing

@Suite struct SentenceEncoderTests {
  static let loaded = Result { try SentenceEncoder(folder: ModelFolder.path) }

  private func encoder() throws -> SentenceEncoder { try Self.loaded.get() }

  @Test func readsTheModelsOwnSettings() throws {
    let encoder = try encoder()
    #expect(encoder.dimension == 384)
    #expect(encoder.maxSequenceLength == 256)
    #expect(encoder.poolings == [.mean])
    #expect(encoder.normalizes)
    #expect(encoder.fingerprint.count == 64)
    #expect(encoder.name == "all-MiniLM-L6-v2")
  }

  @Test func equalsTheOriginalModel() throws {
    let encoder = try encoder()
    let cases = try Golden.load().cases
    let sequences = cases.map { encoder.tokenizer.encode($0.text, maxLength: encoder.maxSequenceLength).ids }
    let pooled = try encoder.encode(sequences)
    let norms = pooled.norms()
    let rows = try pooled.normalized()
    #expect(cases.count >= 40)
    for (index, golden) in cases.enumerated() {
      #expect(sequences[index] == golden.ids)
      let expected = floats(golden.vector)
      let found = rows.row(index)
      #expect(expected.count == 384)
      let worst = zip(found, expected).map { abs($0 - $1) }.max() ?? 1
      let cosine = zip(found, expected).reduce(0) { $0 + Double($1.0) * Double($1.1) }
      #expect(worst <= 1e-4, "\(golden.text)")
      #expect(cosine >= 0.99999, "\(golden.text)")
      #expect(abs(norms[index] - golden.norm) <= 1e-4 * golden.norm)
    }
  }

  /// A sequence gives the same bytes alone, in a batch, in another order, and beside other sequences.
  @Test func aRowDoesNotDependOnItsBatch() throws {
    let encoder = try encoder()
    let sequences = try Golden.load().cases.map(\.ids)
    let batch = try encoder.encode(sequences)
    let reversed = try encoder.encode(sequences.reversed())
    for (index, sequence) in sequences.enumerated() {
      let alone = try encoder.encode([sequence])
      #expect(alone.values.map(\.bitPattern) == batch.row(index).map(\.bitPattern))
      #expect(reversed.row(sequences.count - 1 - index).map(\.bitPattern) == batch.row(index).map(\.bitPattern))
    }
  }

  /// No shape of the product rounds differently: the number of rows before the probe covers a few tiles.
  @Test func aRowDoesNotDependOnTheTokensBeforeIt() throws {
    let encoder = try encoder()
    let probe: [Int32] = [101, 7592, 2088, 102]
    let expected = try encoder.encode([probe]).values.map(\.bitPattern)
    for length in 1...140 {
      let filler = [Int32](repeating: 2003, count: length)
      let rows = try encoder.encode([filler, probe])
      #expect(rows.row(1).map(\.bitPattern) == expected, "\(length) tokens before")
    }
  }

  @Test(arguments: Kernels.names) func everyVariantIsClose(_ name: String) throws {
    guard let kernels = Kernels(named: name) else { return }
    let encoder = try SentenceEncoder(folder: ModelFolder.path, kernels: kernels)
    for golden in try Golden.load().cases.prefix(20) {
      let row = try encoder.encode([golden.ids]).normalized().row(0)
      let worst = zip(row, floats(golden.vector)).map { abs($0 - $1) }.max() ?? 1
      #expect(worst <= 1e-4)
    }
  }

  /// The lowest cosine that vectors of a precision have to vectors of the original model.
  static let cosines: [(WantedPrecision, Double)] = [(.f32, 0.999999), (.bf16, 0.9999), (.int8, 0.995)]

  @Test(arguments: Kernels.runnable, cosines)
  func everyPrecisionIsNear(_ kernels: Kernels, _ asked: (precision: WantedPrecision, cosine: Double)) throws {
    let encoder = try SentenceEncoder(folder: ModelFolder.path, precision: asked.precision, kernels: kernels)
    #expect(encoder.precision.precision.rawValue == asked.precision.rawValue)
    let cases = try Golden.load().cases
    let batch = try encoder.encode(cases.map(\.ids)).normalized()
    for (index, golden) in cases.enumerated() {
      let cosine = zip(batch.row(index), floats(golden.vector)).reduce(0) { $0 + Double($1.0) * Double($1.1) }
      #expect(cosine >= asked.cosine, "\(golden.text)")
    }
    if let accuracy = encoder.precision.accuracy {
      #expect(accuracy.lowestCosine >= asked.cosine && accuracy.lowestCosine < 1)
      #expect(accuracy.meanCosine >= accuracy.lowestCosine && accuracy.texts == 8)
    } else {
      #expect(asked.precision == .f32)
    }
  }

  /// A sequence gives the same bytes alone and in any batch, in every precision.
  @Test(arguments: Kernels.runnable, WantedPrecision.allCases)
  func rowsDoNotDependOnTheirBatch(_ kernels: Kernels, _ precision: WantedPrecision) throws {
    let encoder = try SentenceEncoder(folder: ModelFolder.path, precision: precision, kernels: kernels)
    let sequences = Array(try Golden.load().cases.map(\.ids).prefix(24))
    let batch = try encoder.encode(sequences)
    let reversed = try encoder.encode(sequences.reversed())
    for (index, sequence) in sequences.enumerated() {
      let alone = try encoder.encode([sequence]).values.map(\.bitPattern)
      #expect(alone == batch.row(index).map(\.bitPattern))
      #expect(alone == reversed.row(sequences.count - 1 - index).map(\.bitPattern))
    }
  }

  /// A crew shares a batch without changing a bit, whatever part of it each thread does.
  @Test(arguments: [WantedPrecision.f32, .bf16, .int8], [2, 3])
  func aCrewChangesNothing(_ precision: WantedPrecision, _ threads: Int) throws {
    let encoder = try SentenceEncoder(folder: ModelFolder.path, precision: precision, threads: threads)
    let crew = Crew(threads: threads)
    let sequences = Array(try Golden.load().cases.map(\.ids).prefix(20))
    let expected = try encoder.encode(sequences)
    for _ in 0..<3 { #expect(try encoder.encode(sequences, crew) == expected) }
    for (index, sequence) in sequences.enumerated() {
      let row = try encoder.encode([sequence], crew).values
      #expect(row.map(\.bitPattern) == expected.row(index).map(\.bitPattern))
    }
    // A crew of more threads than the encoder has room for is not used.
    #expect(try encoder.encode(sequences, Crew(threads: threads + 2)) == expected)
  }

  @Test func autoIsWhatTheProcessorDoesBest() throws {
    let encoder = try SentenceEncoder(folder: ModelFolder.path, precision: .auto)
    #expect(encoder.precision.precision == (Kernels.active.multipliesBF16 ? .bf16 : .f32))
    #expect(encoder.precision.reason.hasPrefix("because this processor has "))
    #expect(encoder.fingerprint == (try self.encoder().fingerprint))
  }

  @Test func runsOnSeveralThreadsAtOnce() async throws {
    let encoder = try encoder()
    let sequences = try Golden.load().cases.prefix(12).map(\.ids)
    let expected = try encoder.encode(sequences)
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<4 {
        group.addTask {
          for _ in 0..<5 { #expect((try? encoder.encode(sequences)) == expected) }
        }
      }
    }
  }

  @Test func refusesSequencesItCannotRun() throws {
    let encoder = try encoder()
    #expect(throws: EncodingFailure.invalidInput(1)) { try encoder.encode([[101, 102], []]) }
    #expect(throws: EncodingFailure.invalidInput(0)) { try encoder.encode([[101, 30522, 102]]) }
    #expect(throws: EncodingFailure.invalidInput(0)) { try encoder.encode([[-1]]) }
    #expect(throws: EncodingFailure.invalidInput(0)) { try encoder.encode([[Int32](repeating: 5, count: 257)]) }
    #expect(try encoder.encode([]).rows == 0)
  }
}
