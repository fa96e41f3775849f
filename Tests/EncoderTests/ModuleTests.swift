import Encoder
import Foundation
import SimilarityCore
import TestSupport
import Testing

/// Compares tiny models in the layout of Sentence Transformers with what that library makes of the same texts:
/// poolings, dense layers, prompts, tables without a transformer, and rerankers (Families/sentence-transformers).
@Suite struct ModuleTests {
  struct Golden: Decodable, Sendable, CustomTestStringConvertible {
    struct IDs: Decodable, Sendable {
      let first: Int
      let count: Int
    }
    struct Text: Decodable, Sendable {
      let text: String
      let prompt: String?
      let promptTokens: Int
      let ids: [Int32]
      let vector: String
    }
    struct Pair: Decodable, Sendable {
      let query: String
      let document: String
      let ids: [Int32]
      let types: [Int32]
      let logits: [Float]
    }
    struct Sequence: Decodable, Sendable {
      let length: Int
      let seed: UInt32
      let vector: String?
      let logits: [Float]?
    }

    let kind: String
    let ids: IDs
    let dimension: Int?
    let texts: [Text]?
    let pairs: [Pair]?
    let sequences: [Sequence]
    var name = ""
    var testDescription: String { name }
    private enum CodingKeys: CodingKey { case kind, ids, dimension, texts, pairs, sequences }

    var folder: String { "\(ModuleTests.folder)/\(name)" }

    /// The ids that follow from a seed, as generate.py says.
    func ids(of sequence: Sequence) -> [Int32] {
      var state = sequence.seed
      return (0..<sequence.length).map { _ in
        state = state &* 1_664_525 &+ 1_013_904_223
        return Int32(ids.first + Int(state >> 16) % ids.count)
      }
    }
  }

  static let folder = "\(ModelFolder.repository)/Tests/EncoderTests/Families/sentence-transformers"

  private static let all: [Golden] = {
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    return names.sorted().compactMap { name in
      guard let bytes = FileManager.default.contents(atPath: "\(folder)/\(name)/golden.json"),
        var golden = try? decoder.decode(Golden.self, from: bytes)
      else { return nil }
      golden.name = name
      return golden
    }
  }()
  static let encoders = all.filter { $0.kind == "embed" }
  static let rerankers = all.filter { $0.kind == "rerank" }

  @Test func allModelsAreThere() {
    #expect(Self.encoders.count == 16)
    #expect(Self.rerankers.count == 5)
  }

  @Test(arguments: encoders)
  func vectorsOfTextsAndIdsAreThoseOfTheOriginal(_ golden: Golden) throws {
    for kernels in Kernels.runnable {
      let encoder = try SentenceEncoder(folder: golden.folder, kernels: kernels)
      #expect(encoder.dimension == golden.dimension)
      var sequences: [TokenSequence] = []
      var expected: [[Float]] = []
      for text in try #require(golden.texts) {
        var options = TextOptions()
        options.prompt = text.prompt ?? ""
        let sequence = try #require(encoder.sequence(of: text.text, options))
        #expect(sequence.ids == text.ids, "\(text.text.debugDescription)")
        #expect(sequence.unpooled == (encoder.poolsPrompt || text.prompt == nil ? 0 : text.promptTokens))
        sequences.append(sequence)
        expected.append(floats(text.vector))
      }
      for sequence in golden.sequences where sequence.length <= encoder.maxSequenceLength {
        sequences.append(TokenSequence(golden.ids(of: sequence)))
        expected.append(floats(try #require(sequence.vector)))
      }
      let rows = try encoder.encode(sequences, nil)
      for (index, expected) in expected.enumerated() {
        let row = Self.scaled(Array(rows.row(index)), encoder.normalizes)
        let largest = zip(row, expected).map { abs($0 - $1) }.max() ?? 0
        let scale = expected.map(abs).max() ?? 0
        #expect(
          row.count == expected.count && largest <= 2e-5 * max(1, scale), "\(kernels.name), row \(index): \(largest)")
        let alone = try encoder.encode([sequences[index]], Crew(threads: 2))
        #expect(Array(alone.row(0)).map(\.bitPattern) == Array(rows.row(index)).map(\.bitPattern))
      }
    }
  }

  @Test(arguments: rerankers)
  func scoresOfPairsAreThoseOfTheOriginal(_ golden: Golden) throws {
    for kernels in Kernels.runnable {
      var options = LoadingOptions()
      options.kernels = kernels
      let reranker = try CrossEncoder(folder: golden.folder, options)
      var sequences: [TokenSequence] = []
      var expected: [[Float]] = []
      for pair in try #require(golden.pairs) {
        let sequence = try #require(reranker.sequence(of: reranker.ids(of: pair.query), pair.document, truncate: true))
        #expect(sequence.ids == pair.ids)
        #expect(sequence == TokenSequence(pair.ids, types: pair.types))
        sequences.append(sequence)
        expected.append(pair.logits)
      }
      for sequence in golden.sequences {
        sequences.append(TokenSequence(golden.ids(of: sequence)))
        expected.append(try #require(sequence.logits))
      }
      let rows = try reranker.encode(sequences, nil)
      for (index, expected) in expected.enumerated() {
        let largest = zip(rows.row(index), expected).map { abs($0 - $1) }.max() ?? 0
        #expect(rows.columns == expected.count && largest <= 2e-5, "\(kernels.name), row \(index): \(largest)")
        let alone = try reranker.encode([sequences[index]], Crew(threads: 2))
        #expect(Array(alone.row(0)).map(\.bitPattern) == Array(rows.row(index)).map(\.bitPattern))
      }
    }
  }

  /// Sentence Transformers divides by the norm, which is at least 1e-12.
  private static func scaled(_ row: [Float], _ normalizes: Bool) -> [Float] {
    guard normalizes else { return row }
    let norm = row.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
    return norm > 0 ? row.map { Float(Double($0) / norm) } : row
  }
}
