import Platform
import SimilarityCore
import TestSupport
import Testing
import Training

/// Evaluations of held-out pairs, against a plain computation in f64.
struct EvaluationTests {
  private func matrix(_ rows: [[Float]]) throws -> Matrix {
    try #require(Matrix(rows: rows.count, columns: rows[0].count, values: rows.flatMap { $0 }))
  }

  private func evaluated(_ queries: [[Float]], _ documents: [[Float]], _ own: [Int], threads: Int = 1) throws
    -> Evaluation
  {
    try Evaluation(queries: matrix(queries), documents: matrix(documents), own: own, threads: threads)
  }

  /// The definitions, word by word.
  private func expected(_ queries: [[Float]], _ documents: [[Float]], _ own: [Int]) -> Evaluation {
    func unit(_ rows: [[Float]]) -> [[Double]] {
      rows.map { row in
        let norm = row.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
        return row.map { norm > 0 ? Double($0) / norm : 0 }
      }
    }
    func squares(_ a: [Double], _ b: [Double]) -> Double { zip(a, b).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) } }
    func uniformity(_ rows: [[Double]]) -> Double {
      var (sum, count) = (0.0, 0.0)
      for i in rows.indices {
        for j in rows.indices where i < j {
          sum += exp(-2 * squares(rows[i], rows[j]))
          count += 1
        }
      }
      return log(sum / count)
    }
    let (q, d) = (unit(queries), unit(documents))
    let ranks = q.indices.map { i in
      let mine = zip(q[i], d[own[i]]).reduce(0.0) { $0 + $1.0 * $1.1 }
      return 1 + d.indices.count { j in j != own[i] && zip(q[i], d[j]).reduce(0.0) { $0 + $1.0 * $1.1 } >= mine }
    }
    let count = Double(ranks.count)
    return Evaluation(
      recallAt1: Double(ranks.count { $0 <= 1 }) / count, recallAt10: Double(ranks.count { $0 <= 10 }) / count,
      meanReciprocalRank: ranks.reduce(0) { $0 + 1 / Double($1) } / count,
      alignment: q.indices.reduce(0) { $0 + squares(q[$1], d[own[$1]]) } / count,
      uniformity: (uniformity(q) + uniformity(d)) / 2)
  }

  private func rows(_ count: Int, _ columns: Int, _ random: inout Seeded) -> [[Float]] {
    (0..<count).map { _ in (0..<columns).map { _ in Float.random(in: -1...1, using: &random) } }
  }

  @Test func valuesAreThoseOfTheDefinitions() throws {
    var random = Seeded(5)
    let documents = rows(170, 12, &random)
    let own = (0..<133).map { $0 * 37 % 170 }
    // Near enough to their documents that ranks are of all sizes.
    let queries = own.map { document in
      documents[document].map { 0.7 * $0 + Float.random(in: -1...1, using: &random) }
    }
    let found = try evaluated(queries, documents, own)
    let wanted = expected(queries, documents, own)
    #expect(found.recallAt1 == wanted.recallAt1 && (0.05...0.95).contains(found.recallAt1))
    #expect(found.recallAt10 == wanted.recallAt10 && found.recallAt10 > found.recallAt1)
    #expect(abs(found.meanReciprocalRank - wanted.meanReciprocalRank) < 1e-12)
    #expect(abs(found.alignment - wanted.alignment) < 1e-6)
    #expect(abs(found.uniformity - wanted.uniformity) < 1e-6)
    for threads in [2, 3] { #expect(try evaluated(queries, documents, own, threads: threads) == found) }
  }

  @Test func anEqualDocumentCountsAgainstTheOwn() throws {
    let found = try evaluated([[1, 0], [0, 2]], [[3, 0], [1, 0], [0, 1]], [0, 2])
    #expect(found.recallAt1 == 0.5 && found.recallAt10 == 1 && found.meanReciprocalRank == 0.75)
    #expect(found.alignment == 0)
  }

  @Test func aCollapsedModelFindsNothing() throws {
    let rows = [[Float]](repeating: [0.5, 0.5, 1], count: 40)
    let found = try evaluated(rows, rows, Array(0..<40))
    #expect(found.recallAt1 == 0 && found.recallAt10 == 0 && abs(found.meanReciprocalRank - 1 / 40) < 1e-12)
    #expect(abs(found.uniformity) < 1e-6)
  }

  @Test func rowsOfZerosAndNaNFindNothing() throws {
    let found = try evaluated([[0, 0], [.nan, 1]], [[1, 0], [0, 1]], [0, 1])
    #expect(found.recallAt1 == 0 && found.meanReciprocalRank == 0.5)
  }

  @Test func uniformityOfOrthogonalPairsIsMinusFour() throws {
    let rows: [[Float]] = [[2, 0, 0], [0, 3, 0], [0, 0, 1]]
    let found = try evaluated(rows, rows, [0, 1, 2])
    #expect(abs(found.uniformity + 4) < 1e-12)
    #expect(found.recallAt1 == 1 && found.meanReciprocalRank == 1)
    #expect(try evaluated([[1, 2]], [[2, 4]], [0]).uniformity == 0)
  }

  @Test func uniformityOfManyRowsIsThatOfASample() throws {
    var random = Seeded(6)
    let many = rows(4096, 4, &random)
    let sample = (0..<2048).map { many[$0 * 2] }
    let found = try evaluated(many, many, Array(0..<4096), threads: 2)
    #expect(found.uniformity == (try evaluated(sample, sample, Array(0..<2048))).uniformity)
  }
}

struct EarlyStoppingTests {
  @Test func patienceCountsEvaluationsWithoutANewBest() {
    var stopping = EarlyStopping(patience: 2)
    var taken: [Bool] = []
    for (step, value) in [0.5, 0.4, 0.6, 0.6, 0.1].enumerated() {
      #expect(!stopping.stops)
      taken.append(stopping.take(value, step: step))
    }
    #expect(taken == [true, false, true, false, false] && stopping.stops)
    #expect(stopping.best?.value == 0.6 && stopping.best?.step == 2 && stopping.since == 2)
  }

  @Test func withoutPatienceItNeverStops() {
    var stopping = EarlyStopping(patience: nil)
    for step in 0..<100 { _ = stopping.take(-Double(step), step: step) }
    #expect(!stopping.stops && stopping.best?.step == 0)
  }

  @Test func itGoesOnFromACheckpoint() {
    var (whole, kept) = (EarlyStopping(patience: 3), EarlyStopping(patience: 3))
    for (step, value) in [0.1, 0.3, 0.2].enumerated() {
      _ = (whole.take(value, step: step), kept.take(value, step: step))
    }
    kept = EarlyStopping(patience: 3, best: kept.best, since: kept.since)
    for (step, value) in [0.2, 0.25].enumerated() {
      let (one, other) = (whole.take(value, step: 3 + step), kept.take(value, step: 3 + step))
      #expect(one == other)
    }
    #expect(whole == kept && kept.stops)
  }

  @Test func whatIsNotANumberIsNoImprovement() {
    var stopping = EarlyStopping(patience: 1)
    let taken = [stopping.take(0.2, step: 1), stopping.take(.nan, step: 2)]
    #expect(taken == [true, false] && stopping.stops)
  }
}
