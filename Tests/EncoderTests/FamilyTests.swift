import Encoder
import Foundation
import SimilarityCore
import TestSupport
import Testing

/// Compares tiny random models of each family with the vectors of the original code (Families/generate.py).
@Suite struct FamilyTests {
  struct Family: Sendable, CustomTestStringConvertible {
    let name: String
    let texts: [String]
    let vectors: [[Float]]
    var testDescription: String { name }
  }

  private struct File: Decodable {
    let texts: [String]
    let vectors: [String: [String]]
  }

  static let folder = "\(ModelFolder.repository)/Tests/EncoderTests/Families"

  static let families: [Family] = {
    guard let bytes = try? Data(contentsOf: URL(fileURLWithPath: "\(folder)/golden.json")),
      let file = try? JSONDecoder().decode(File.self, from: bytes)
    else { return [] }
    return file.vectors.sorted { $0.key < $1.key }.map { name, rows in
      Family(name: name, texts: file.texts, vectors: rows.map(floats))
    }
  }()

  @Test func thereAreGoldenVectorsOfEachFamily() {
    #expect(Self.families.count == 12)
    #expect(Self.families.allSatisfy { $0.texts.count == 7 && $0.vectors.count == 7 })
  }

  /// The lowest cosine that a precision must reach. Random weights are harder than trained ones.
  @Test(arguments: families, [(WantedPrecision.f32, 0.999_999), (.bf16, 0.9995), (.int8, 0.995)])
  func vectorsAreThoseOfTheOriginal(_ family: Family, _ asked: (precision: WantedPrecision, cosine: Double)) throws {
    for kernels in Kernels.runnable {
      let encoder = try SentenceEncoder(
        folder: "\(Self.folder)/\(family.name)", precision: asked.precision, kernels: kernels, threads: 2)
      let sequences = family.texts.map { encoder.tokenizer.encode($0, maxLength: encoder.maxSequenceLength).ids }
      let rows = try encoder.encode(sequences)
      for (index, expected) in family.vectors.enumerated() {
        #expect(rows.columns == expected.count)
        let cosine = Self.cosine(Array(rows.row(index)), expected)
        #expect(cosine >= asked.cosine, "\(kernels.name), text \(index)")
        // The vector of a text has the same bytes alone, and with a crew.
        let alone = try encoder.encode([sequences[index]], Crew(threads: 2))
        #expect(Array(alone.row(0)).map(\.bitPattern) == Array(rows.row(index)).map(\.bitPattern))
      }
    }
  }

  @Test func filesOfADividedCheckpointStayWithinTheFolder() throws {
    let copy = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
    try FileManager.default.copyItem(at: URL(fileURLWithPath: "\(Self.folder)/qwen3-divided"), to: copy)
    defer { try? FileManager.default.removeItem(at: copy) }
    let index = copy.appendingPathComponent("model.safetensors.index.json")
    for (map, message) in [
      ("{\"embed_tokens.weight\": \"../model.safetensors\"}", "must name a .safetensors file of the folder"),
      ("{}", "names no file"),
    ] {
      try Data("{\"weight_map\": \(map)}".utf8).write(to: index)
      let error = #expect(throws: EncoderError.self) { try SentenceEncoder(folder: copy.path) }
      #expect("\(try #require(error))".contains(message))
    }
  }

  private static func cosine(_ a: [Float], _ b: [Float]) -> Double {
    let product = zip(a, b).reduce(0.0) { $0 + Double($1.0) * Double($1.1) }
    let squares = [a, b].map { $0.reduce(0.0) { $0 + Double($1) * Double($1) } }
    return product / (squares[0] * squares[1]).squareRoot()
  }
}
