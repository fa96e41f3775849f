import Contrastive
import Foundation
import SimilarityCore
import TestSupport
import Testing

/// Values and gradients as widely used libraries compute them, from the file that generate_fixtures.py wrote.
struct LibraryCases: Decodable {
  struct Tensor: Decodable {
    let shape: [Int]
    let data: Data

    func values<Value: BitwiseCopyable>(_: Value.Type) -> [Value] {
      data.withUnsafeBytes { bytes in
        (0..<bytes.count / MemoryLayout<Value>.stride).map {
          bytes.loadUnaligned(fromByteOffset: $0 * MemoryLayout<Value>.stride, as: Value.self)
        }
      }
    }

    /// The tensor as a matrix, whose rows are all dimensions but the last.
    func matrix() throws -> Matrix {
      let columns = try #require(shape.last)
      let rows = shape.dropLast().reduce(1, *)
      return try #require(Matrix(rows: rows, columns: columns, values: values(Float.self)))
    }
  }

  struct Expected: Decodable {
    let loss: Double
    let perRow: Tensor?
    let queries: Tensor?
    let keys: Tensor?
    let negatives: Tensor?
    let temperature: Double?
    let bias: Double?
  }

  struct Case: Decodable, CustomTestStringConvertible {
    let name: String
    let source: String
    let objective: String
    let temperature: Double
    let normalize: Bool?
    let inBatchNegatives: Bool?
    let bias: Float?
    let positives: [Int]?
    let labels: [Int]?
    let queries: Tensor
    let keys: Tensor?
    let negatives: Tensor?
    let queue: Tensor?
    let expect: Expected

    var testDescription: String { "\(source): \(name) (\(objective))" }
  }

  let versions: [String: String]
  let cases: [Case]

  static func load() throws -> LibraryCases {
    let path = "\(ModelFolder.repository)/Tests/ContrastiveTests/Fixtures/losses.json"
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    return try decoder.decode(LibraryCases.self, from: Data(contentsOf: URL(fileURLWithPath: path)))
  }
}

@Suite struct LibraryTests {
  static let loaded = Result { try LibraryCases.load() }

  @Test func everyLibraryIsThere() throws {
    let all = try Self.loaded.get()
    #expect(all.cases.count == 41)
    #expect(
      Set(all.cases.map(\.source)) == [
        "torch", "pytorch-metric-learning", "lightly", "sentence-transformers", "transformers",
      ])
    #expect(Set(all.cases.map(\.objective)) == Set(Objective.allCases.map(\.rawValue)))
    for source in Set(all.cases.map(\.source)) { #expect(all.versions[source] != nil) }
  }

  @Test(arguments: (try? loaded.get().cases) ?? []) func equals(_ test: LibraryCases.Case) throws {
    let objective = try #require(Objective(rawValue: test.objective))
    var options = LossOptions(objective, temperature: Float(test.temperature))
    options.normalize = test.normalize ?? true
    options.inBatchNegatives = test.inBatchNegatives ?? true
    if let bias = test.bias { options.bias = bias }
    var input = LossInput(queries: try test.queries.matrix(), keys: try test.keys?.matrix())
    input.positives = test.positives
    input.labels = test.labels
    input.queue = try test.queue?.matrix()
    if let negatives = test.negatives {
      let matrix = try negatives.matrix()
      input.negatives = negatives.shape.count == 3 ? .paired(matrix, perQuery: negatives.shape[1]) : .shared(matrix)
    }
    options.wantsGradients = true
    let result = try ContrastiveLoss.evaluate(input, options)
    let gradients = try #require(result.gradients)

    var deviation = Deviation(temperature: options.temperature)
    deviation.compare(result.loss, test.expect.loss, "loss")
    func compare(_ found: [Float]?, _ expected: LibraryCases.Tensor?, _ name: String) {
      guard let expected else { return }
      let wanted = expected.values(Double.self)
      #expect(found?.count == wanted.count)
      for (index, (value, wanted)) in zip(found ?? [], wanted).enumerated() {
        deviation.compare(Double(value), wanted, "\(name)[\(index)]")
      }
    }
    compare(result.perRow, test.expect.perRow, "per_row")
    compare(gradients.queries.values, test.expect.queries, "queries")
    compare(gradients.keys?.values, test.expect.keys, "keys")
    compare(gradients.negatives?.values, test.expect.negatives, "negatives")
    if let temperature = test.expect.temperature {
      deviation.compare(try #require(gradients.temperature), temperature, "temperature")
    }
    if let bias = test.expect.bias { deviation.compare(try #require(gradients.bias), bias, "bias") }
    #expect(deviation.worst <= 1, "\(deviation)")
  }
}
