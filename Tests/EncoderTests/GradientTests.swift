import Encoder
import Foundation
import Safetensors
import SimilarityCore
import TestSupport
import Testing

/// Compares the gradients of tiny models, for every parameter, with those that automatic differentiation found in the
/// original code (generate_gradients.py).
@Suite struct GradientTests {
  static let folder = "\(ModelFolder.repository)/Tests/EncoderTests/Gradients"

  static let models = [
    "bert", "roberta", "distilbert", "mpnet", "nomic-bert", "modernbert", "qwen3-divided", "gemma3", "gemma3-causal",
  ]

  /// The texts of the script.
  static func texts() throws -> [TokenSequence] {
    let bytes = try Data(contentsOf: URL(fileURLWithPath: "\(folder)/texts.json"))
    return try JSONDecoder().decode([[Int32]].self, from: bytes).map { TokenSequence($0) }
  }

  /// The weights of the rows in the loss.
  static func weights(rows: Int, columns: Int) -> Matrix {
    Matrix(rows: rows, columns: columns) { out in
      for index in out.indices { out[index] = (Float(37 * index % 101) - 50) / 50 }
    }
  }

  /// The gradients of Σ weights·rows.
  static func gradients(
    of model: any TrainableModel, _ sequences: [TokenSequence], _ values: FloatArray, dropout: Dropout? = nil,
    from depth: Int = 0, _ team: Team? = nil
  ) throws -> (rows: Matrix, gradients: FloatArray) {
    let gradients = try FloatArray(model.layout.count)
    let (rows, pass) = try model.forward(sequences, values, dropout: dropout, keeps: true, team)
    try model.backward(
      try #require(pass), rows: weights(rows: rows.rows, columns: rows.columns), values, from: depth, into: gradients,
      team)
    return (rows, gradients)
  }

  @Test(arguments: models) func gradientsAreThoseOfAutomaticDifferentiation(_ name: String) throws {
    let encoder = try TrainableEncoder(folder: "\(FamilyTests.folder)/\(name)")
    try compare(encoder.model, "\(Self.folder)/\(name).safetensors")
  }

  /// All poolings at once, whose results stand one after another.
  @Test func gradientsOfPoolings() throws {
    let copy = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
    try FileManager.default.copyItem(at: URL(fileURLWithPath: "\(FamilyTests.folder)/bert"), to: copy)
    defer { try? FileManager.default.removeItem(at: copy) }
    let modules = """
      [{"type": "sentence_transformers.models.Transformer", "path": ""},
       {"type": "sentence_transformers.models.Pooling", "path": "1_Pooling"}]
      """
    try Data(modules.utf8).write(to: copy.appendingPathComponent("modules.json"))
    try FileManager.default.createDirectory(
      at: copy.appendingPathComponent("1_Pooling"), withIntermediateDirectories: true)
    let poolings = #"{"pooling_mode": ["mean", "cls", "max", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"]}"#
    try Data(poolings.utf8).write(to: copy.appendingPathComponent("1_Pooling/config.json"))
    let encoder = try TrainableEncoder(folder: copy.path)
    #expect(encoder.model.dimension == 6 * 32)
    try compare(encoder.model, "\(Self.folder)/poolings.safetensors")
  }

  private func compare(_ model: any TrainableModel, _ file: String) throws {
    let values = try FloatArray(model.layout.count)
    try model.load(into: values)
    let expected = try SafetensorsArchive(memoryMapping: file)
    let names = expected.names.filter { !$0.hasSuffix("/rows") }
    let largest = try names.map { try expected.floats($0).reduce(0) { max($0, abs($1)) } }.max() ?? 0
    let found = try Self.gradients(of: model, try Self.texts(), values).gradients
    // Every tensor that the loss depends on is a parameter, and the other way round.
    #expect(Set(model.layout.entries.map(\.name)) == Set(names))
    for entry in model.layout.entries {
      let gradient = Array(found.values[entry.range])
      var wanted = try expected.floats(entry.name)
      if expected.names.contains("\(entry.name)/rows") {
        let rows = try expected.floats("\(entry.name)/rows").map { Int($0) }
        var whole = [Float](repeating: 0, count: entry.count)
        let width = entry.shape[1]
        for (index, row) in rows.enumerated() {
          whole.replaceSubrange(row * width..<(row + 1) * width, with: wanted[index * width..<(index + 1) * width])
        }
        wanted = whole
      }
      #expect(gradient.count == wanted.count)
      let size = wanted.reduce(0) { max($0, abs($1)) }
      let error = zip(gradient, wanted).reduce(0) { max($0, abs($1.0 - $1.1)) }
      // The bias of keys adds the same number to all scores of a query, which changes nothing: its gradient is 0.
      guard size > 1e-9 * largest else {
        #expect(error <= 1e-6 * largest, "\(entry.name)")
        continue
      }
      #expect(error <= 1e-4 * size, "\(entry.name): \(error / size)")
      #expect(Self.cosine(gradient, wanted) >= 0.999_999, "\(entry.name)")
    }
  }

  static func cosine(_ a: [Float], _ b: [Float]) -> Double {
    let product = zip(a, b).reduce(0.0) { $0 + Double($1.0) * Double($1.1) }
    let squares = [a, b].map { $0.reduce(0.0) { $0 + Double($1) * Double($1) } }
    return product / (squares[0] * squares[1]).squareRoot()
  }
}
