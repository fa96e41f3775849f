import SimilarityCore
import TestSupport
import Testing
import VectorIndex

/// Sets in which an approximate method is likely to miss a true neighbour.
enum AdversarialSet: String, CaseIterable, CustomTestStringConvertible {
  case random, duplicates, pairs, tinyNorms, hugeNorms, mixedNorms, oneHot, constant
  /// These are hard for codes of residuals: clusters of very different spread, a narrow cone, rows far from the origin,
  /// and a drift.
  case clusters, cone, offset, drift

  var testDescription: String { rawValue }

  func rows(_ count: Int, _ dimension: Int, _ random: inout Seeded) -> [Float] {
    var rows = random.floats(count * dimension)
    for row in 0..<count {
      let range = row * dimension..<(row + 1) * dimension
      switch self {
      case .random: break
      case .duplicates where row >= 7:
        for column in 0..<dimension { rows[row * dimension + column] = rows[row % 7 * dimension + column] }
      case .pairs where row % 2 == 1:
        for column in 0..<dimension {
          rows[row * dimension + column] = rows[(row - 1) * dimension + column] + (column == 0 ? 1e-6 : 0)
        }
      case .duplicates, .pairs: break
      case .tinyNorms: for index in range { rows[index] *= 1e-30 }
      case .hugeNorms: for index in range { rows[index] *= 1e18 }
      case .mixedNorms:
        let scale = [1e-20, 1e-6, 1, 1e6, 1e17][row % 5]
        for index in range { rows[index] = Float(Double(rows[index]) * scale) }
      case .oneHot:
        for index in range { rows[index] = index % dimension == row % dimension ? 1 + Float(row) * 1e-6 : 0 }
      case .constant: for index in range { rows[index] = 1 + rows[index] * 1e-5 }
      case .clusters:
        let spread: Float = [0.5, 1e-2, 1e-4, 0][row % 4]
        for (column, index) in range.enumerated() {
          rows[index] = Float((row % 12 * 7 + column * 3) % 11) - 4.75 + spread * rows[index]
        }
      case .cone: for (column, index) in range.enumerated() { rows[index] = Float(column % 3 + 1) + 0.05 * rows[index] }
      case .offset: for index in range { rows[index] = 4096 + rows[index] }
      case .drift where row >= count / 2: for index in range { rows[index] = 0.01 * rows[index] - 300 }
      case .drift: break
      }
    }
    return rows
  }
}

@Suite("The exact search's certificate")
struct CertificateTests {
  /// About 15,000 queries over all sets, metrics and dimensions: alone, in a batch, and in a batch on two threads.
  @Test(arguments: AdversarialSet.allCases, Metric.allCases)
  func answersAreThoseOfBruteForce(_ set: AdversarialSet, _ metric: Metric) throws {
    var random = Seeded(UInt64(17 + set.rawValue.utf8.count))
    for (dimension, count) in [(1, 90), (3, 200), (64, 700), (100, 400), (384, 300)] {
      let rows = set.rows(count, dimension, &random)
      let index = VectorIndex(dimension: dimension, metric: metric)
      var truth = BruteForce(metric, dimension)
      truth.add(rows, at: try index.apply(removing: [], adding: rows))
      var queries = set.rows(60, dimension, &random)
      // Stored rows are queries as well, since their best score is shared by their duplicates.
      queries += rows[..<(24 * dimension)]
      let matrix = try #require(Matrix(rows: 84, columns: dimension, values: queries))
      var options = SearchOptions(k: 10)
      options.mode = .exact
      let batch = try index.snapshot.nearest(to: matrix, options, tiePrecedes: <).neighbors
      options.loop = ParallelLoop(threads: 2)
      let parallel = try index.snapshot.nearest(to: matrix, options, tiePrecedes: <).neighbors
      #expect(parallel == batch)
      for row in 0..<84 {
        let query = Array(matrix.row(row))
        let one = try #require(Matrix(rows: 1, columns: dimension, values: query))
        let alone = try index.snapshot.nearest(to: one, options, tiePrecedes: <).neighbors[0]
        let expected = truth.nearest(query, 10)
        #expect(alone == expected, "\(set) \(metric) d=\(dimension), query \(row)")
        #expect(batch[row] == expected, "\(set) \(metric) d=\(dimension), query \(row) in a batch")
      }
    }
  }

  @Test(arguments: Metric.allCases)
  func scoresAreThoseOfPlainSums(_ metric: Metric) throws {
    var random = Seeded(5)
    let rows = random.floats(50 * 33)
    let index = VectorIndex(dimension: 33, metric: metric)
    _ = try index.apply(removing: [], adding: rows)
    let query = random.floats(33)
    let matrix = try #require(Matrix(rows: 1, columns: 33, values: query))
    for found in try index.snapshot.nearest(to: matrix, SearchOptions(k: 50), tiePrecedes: <).neighbors[0] {
      let row = rows[found.position * 33..<(found.position + 1) * 33].map(Double.init)
      let q = query.map(Double.init)
      let dot = zip(q, row).reduce(0) { $0 + $1.0 * $1.1 }
      let expected: Double
      switch metric {
      case .dot: expected = dot
      case .cosine:
        let norms = (q.reduce(0) { $0 + $1 * $1 } * row.reduce(0) { $0 + $1 * $1 }).squareRoot()
        expected = dot / norms
      case .euclidean: expected = -zip(q, row).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }.squareRoot()
      }
      #expect(abs(found.score - expected) <= 1e-13 * max(1, abs(expected)))
    }
  }

  @Test(arguments: ["baseline", "avx2", "avx512", "avx512_vnni", "neon"])
  func everyVariantFindsTheSame(_ name: String) throws {
    guard let kernels = Kernels(named: name) else { return }
    var random = Seeded(9)
    let rows = random.floats(300 * 96)
    let index = VectorIndex(dimension: 96, metric: .cosine, kernels: kernels)
    _ = try index.apply(removing: [], adding: rows)
    let queries = random.matrix(40, 96)
    var truth = BruteForce(.cosine, 96)
    truth.add(rows, at: Array(0..<300))
    let found = try index.snapshot.nearest(to: queries, SearchOptions(k: 5), tiePrecedes: <).neighbors
    for row in 0..<40 {
      #expect(found[row].map(\.position) == truth.nearest(Array(queries.row(row)), 5).map(\.position))
    }
  }
}
