import Contrastive
import SimilarityCore
import TestSupport
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// The tiled f32 loss against the formula written out in f64.
@Suite struct InfoNCETests {
  struct Case: Sendable, CustomTestStringConvertible {
    var queries = 6
    var keys = 6
    var dimension = 8
    var shared = 0
    var paired = 0
    var temperature: Float = 0.07
    var normalize = true
    var inBatch = true
    var testDescription: String { "\(self)" }
  }

  static let cases = [
    Case(), Case(temperature: 0.01), Case(temperature: 100), Case(temperature: 0.5, normalize: false),
    Case(queries: 5, keys: 11), Case(shared: 9), Case(shared: 700, inBatch: false), Case(paired: 4),
    Case(paired: 3, inBatch: false), Case(queries: 1, keys: 1), Case(queries: 1, keys: 1, dimension: 1),
    Case(queries: 70, keys: 600, dimension: 33), Case(queries: 3, keys: 3, dimension: 4096),
    Case(inBatch: false),
  ]

  @Test(arguments: cases) func equalsTheFormula(_ test: Case) throws {
    var random = Seeded(UInt64(test.queries * 1000 + test.keys))
    let queries = random.matrix(test.queries, test.dimension)
    let keys = random.matrix(test.keys, test.dimension)
    let positives = (0..<test.queries).map { ($0 * 7 + 3) % test.keys }
    var negatives: Negatives?
    if test.shared > 0 { negatives = .shared(random.matrix(test.shared, test.dimension)) }
    if test.paired > 0 {
      negatives = .paired(random.matrix(test.paired * test.queries, test.dimension), perQuery: test.paired)
    }
    let batch = try ContrastiveBatch(queries: queries, keys: keys, negatives: negatives, positives: positives)
    let value = try InfoNCE(
      temperature: test.temperature, normalize: test.normalize, inBatchNegatives: test.inBatch
    ).evaluate(batch)
    let expected = Self.reference(batch, test)
    let tolerance = 1e-5 + 1e-6 / Double(test.temperature)
    for (found, wanted) in zip(value.perRow, expected) {
      #expect(abs(Double(found) - wanted) <= tolerance * max(1, abs(wanted)))
    }
    #expect(value.perRow.count == test.queries)
    let mean = expected.reduce(0, +) / Double(test.queries)
    #expect(abs(value.loss - mean) <= tolerance * max(1, abs(mean)))
    #expect(value.candidates == (test.inBatch ? test.keys : 1) + test.shared + test.paired)
  }

  private static func reference(_ batch: ContrastiveBatch, _ test: Case) -> [Double] {
    func unit(_ row: ArraySlice<Float>) -> [Double] {
      let values = row.map(Double.init)
      guard test.normalize else { return values }
      let norm = values.reduce(0) { $0 + $1 * $1 }.squareRoot()
      return values.map { $0 / norm }
    }
    func logit(_ a: ArraySlice<Float>, _ b: ArraySlice<Float>) -> Double {
      zip(unit(a), unit(b)).reduce(0) { $0 + $1.0 * $1.1 } / Double(test.temperature)
    }
    return (0..<batch.queries.rows).map { row in
      let query = batch.queries.row(row)
      let positive = logit(query, batch.keys.row(batch.positives[row]))
      var logits = test.inBatch ? (0..<batch.keys.rows).map { logit(query, batch.keys.row($0)) } : [positive]
      switch batch.negatives {
      case .shared(let matrix): logits += (0..<matrix.rows).map { logit(query, matrix.row($0)) }
      case .paired(let matrix, let perQuery):
        logits += (0..<perQuery).map { logit(query, matrix.row(row * perQuery + $0)) }
      case nil: break
      }
      let top = logits.max() ?? 0
      return top + log(logits.reduce(0) { $0 + exp($1 - top) }) - positive
    }
  }

  @Test func aLoneCandidateCostsNothing() throws {
    let one = try #require(Matrix(rows: 1, columns: 3, values: [0.3, -2, 5]))
    for inBatch in [true, false] {
      let value = try InfoNCE(inBatchNegatives: inBatch).evaluate(try ContrastiveBatch(queries: one, keys: one))
      #expect(value.loss == 0)
      #expect(value.perRow == [0])
    }
  }

  @Test func identicalRowsCostTheLogarithmOfTheirNumber() throws {
    let rows = try #require(Matrix(rows: 50, columns: 4, values: (0..<200).map { Float($0 % 4) + 1 }))
    let value = try InfoNCE(temperature: 0.005).evaluate(try ContrastiveBatch(queries: rows, keys: rows))
    #expect(abs(value.loss - log(50.0)) <= 1e-6)
  }

  /// Raw products of such rows leave f32, their cosines do not.
  @Test func extremeNormsDoNotMatter() throws {
    var random = Seeded(11)
    let queries = random.matrix(4, 6)
    let keys = random.matrix(4, 6)
    let plain = try InfoNCE().evaluate(try ContrastiveBatch(queries: queries, keys: keys))
    for factor in [1e30, 1e-30] {
      var scaledQueries = queries
      var scaledKeys = keys
      for row in 0..<4 {
        scaledQueries.scaleRow(row, by: factor)
        scaledKeys.scaleRow(row, by: factor)
      }
      let value = try InfoNCE().evaluate(try ContrastiveBatch(queries: scaledQueries, keys: scaledKeys))
      #expect(abs(value.loss - plain.loss) <= 1e-5)
    }
  }

  @Test func namesTheRowAtFault() throws {
    let good = try #require(Matrix(rows: 2, columns: 2, values: [1, 2, 3, 4]))
    let zero = try #require(Matrix(rows: 2, columns: 2, values: [1, 2, 0, 0]))
    let wide = try #require(Matrix(rows: 2, columns: 3, values: [1, 2, 3, 4, 5, 6]))
    let huge = try #require(Matrix(rows: 2, columns: 2, values: [1, 2, 3e38, 3e38]))
    func parameter(_ body: () throws -> Void) -> String? {
      do {
        try body()
        return nil
      } catch {
        return (error as? ContrastiveError)?.parameter
      }
    }
    #expect(parameter { _ = try InfoNCE().evaluate(ContrastiveBatch(queries: zero, keys: good)) } == "queries[1]")
    #expect(parameter { _ = try InfoNCE().evaluate(ContrastiveBatch(queries: good, keys: zero)) } == "keys[1]")
    #expect(parameter { _ = try ContrastiveBatch(queries: good, keys: wide) } == "keys")
    #expect(parameter { _ = try ContrastiveBatch(queries: good, keys: good, positives: [0, 2]) } == "positives[1]")
    #expect(parameter { _ = try ContrastiveBatch(queries: good, keys: good, positives: [0]) } == "positives")
    #expect(
      parameter { _ = try ContrastiveBatch(queries: good, keys: good, negatives: .shared(wide)) } == "negatives")
    #expect(
      parameter { _ = try ContrastiveBatch(queries: good, keys: good, negatives: .paired(good, perQuery: 3)) }
        == "negatives")
    #expect(
      parameter { _ = try InfoNCE(normalize: false).evaluate(ContrastiveBatch(queries: huge, keys: good)) }
        == "queries[1]")
    #expect(
      parameter { _ = try InfoNCE(temperature: 0).evaluate(ContrastiveBatch(queries: good, keys: good)) }
        == "temperature")
  }
}
