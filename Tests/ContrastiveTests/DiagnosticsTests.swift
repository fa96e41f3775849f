import Contrastive
import Platform
import SimilarityCore
import TestSupport
import Testing

/// Compares all diagnostics with their definitions, computed in f64.
@Suite struct DiagnosticsTests {
  static let random: [LossCase] =
    Objective.allCases.flatMap { objective in
      let queue = objective == .moco ? 9 : nil
      return [
        LossCase(objective) { $0.queue = queue },
        LossCase(objective) { ($0.rows, $0.dimension, $0.queue) = (40, 5, queue) },
        LossCase(objective) { ($0.rows, $0.dimension, $0.normalize, $0.queue) = (20, 5, false, queue) },
        LossCase(objective) { ($0.rows, $0.dimension, $0.queue, $0.threads) = (130, 33, queue, 2) },
        LossCase(objective) { ($0.rows, $0.dimension, $0.temperature, $0.queue) = (600, 16, 0.03, queue) },
      ]
    } + [
      LossCase(.infonce) { ($0.keys, $0.shared, $0.queue) = (9, 4, 3) },
      LossCase(.infonce) { ($0.paired, $0.inBatch) = (4, false) },
      LossCase(.infonce) { ($0.rows, $0.keys, $0.paired, $0.queue, $0.dimension) = (90, 530, 3, 70, 12) },
      LossCase(.dcl) { ($0.rows, $0.keys, $0.paired, $0.dimension) = (90, 530, 3, 12) },
      LossCase(.supcon) { $0.hasSecondView = false },
    ]

  @Test(arguments: random) func equalTheirDefinitions(_ test: LossCase) throws {
    try expectDiagnostics(test.input, test.options)
  }

  /// Keys that are equal, or whose lengths differ by a power of two, tie exactly, whatever their positions.
  @Test(arguments: [8, 63, 64, 150, 700], [Objective.infonce, .symmetric, .ntXent, .sigmoid, .dcl])
  func tiesCountAgainstThePositive(_ rows: Int, _ objective: Objective) throws {
    var random = Seeded(UInt64(rows))
    let half = random.matrix(rows / 2, 24)
    var values = half.values + half.values.map { 2 * $0 }
    if rows % 2 == 1 { values += random.floats(24) }
    let keys = try #require(Matrix(rows: rows, columns: 24, values: values))
    var noisy = values
    for index in noisy.indices { noisy[index] += 0.2 * Float.random(in: -1...1, using: &random) }
    let near = try #require(Matrix(rows: rows, columns: 24, values: noisy))
    for queries in [keys, near] {
      let result = try expectDiagnostics(LossInput(queries: queries, keys: keys), LossOptions(objective))
      // With nt_xent the keys are rows as well, so its accuracy has another value.
      if objective != .ntXent {
        let alone = rows % 2 == 1 ? 1 / Double(rows) : 0
        #expect(abs((result.accuracyTop1 ?? -1) - alone) <= 1e-12)
      }
    }
  }

  /// Of more than 2,048 rows, at most 2,048 evenly spaced ones are compared: here, every second one.
  @Test func uniformityOfManyRowsIsThatOfASample() throws {
    var random = Seeded(77)
    let queries = random.matrix(2500, 4)
    let keys = random.matrix(2500, 4)
    var options = LossOptions(.simsiam)
    options.wantsDiagnostics = true
    let found = try ContrastiveLoss.evaluate(LossInput(queries: queries, keys: keys), options)
    let all = uniformity(Rows(queries).unit(), step: 2)
    #expect(abs((found.diagnostics?.uniformityQueries ?? 0) - all) <= 0.02)
  }

  private func uniformity(_ rows: Rows, step: Int = 1) -> Double {
    var exponents: [Double] = []
    for i in stride(from: 0, to: rows.count, by: step) {
      for j in stride(from: 0, to: i, by: step) {
        var distance = 0.0
        for d in 0..<rows.width {
          let difference = rows.values[i * rows.width + d] - rows.values[j * rows.width + d]
          distance += difference * difference
        }
        exponents.append(-2 * distance)
      }
    }
    let top = exponents.max() ?? 0
    return top + log(exponents.reduce(0) { $0 + exp($1 - top) } / Double(exponents.count))
  }

  @discardableResult
  private func expectDiagnostics(_ input: LossInput, _ given: LossOptions) throws -> LossDiagnostics {
    var options = given
    options.wantsDiagnostics = true
    let result = try ContrastiveLoss.evaluate(input, options)
    let found = try #require(result.diagnostics)
    let reference = Reference(input, options)
    let objective = options.objective
    let rows = reference.similarities()
    let isRanked = ![.supcon, .simsiam, .byol].contains(objective)
    let isSoftmax = ![.sigmoid, .simsiam, .byol].contains(objective)
    var deviation = Deviation(temperature: options.temperature)
    func compare(_ value: Double?, _ wanted: Double?, _ name: String) {
      #expect((value == nil) == (wanted == nil), "\(name) is defined for \(objective) or not")
      if let value, let wanted { deviation.compare(value, wanted, name) }
    }

    let ranks = rows.map { row in 1 + row.others.count { $0 >= row.positive } }
    func mean(_ values: [Double]) -> Double? {
      isRanked && !values.isEmpty ? values.reduce(0, +) / Double(values.count) : nil
    }
    compare(found.accuracyTop1, mean(ranks.map { $0 == 1 ? 1 : 0 }), "accuracy_top1")
    compare(found.accuracyTop5, mean(ranks.map { $0 <= 5 ? 1 : 0 }), "accuracy_top5")
    compare(found.meanReciprocalRank, mean(ranks.map { 1 / Double($0) }), "mean_reciprocal_rank")
    compare(found.negativeSimilarity, mean(rows.flatMap(\.others)), "negative_similarity")
    compare(found.hardestNegativeSimilarity, mean(rows.compactMap { $0.others.max() }), "hardest_negative_similarity")
    let positives = rows.map(\.positive).reduce(0, +) / Double(rows.count)
    compare(found.positiveSimilarity, objective == .supcon ? nil : positives, "positive_similarity")

    let hasBound = [.infonce, .moco, .symmetric].contains(objective)
    compare(
      found.mutualInformationBound, hasBound ? log(Double(result.candidates)) - reference.loss() : nil,
      "mutual_information_bound")
    let entropies = rows.compactMap { row -> Double? in
      if objective == .supcon, row.partners.isEmpty { return nil }
      let withPositive = objective != .dcl && objective != .supcon
      let logits = (row.others + (withPositive ? [row.positive] : [])).map { $0 / reference.temperature }
      let sum = reference.logSum(logits)
      return logits.reduce(0) { $0 + exp($1 - sum) * (sum - $1) }
    }
    let entropy = entropies.reduce(0, +) / Double(entropies.count)
    compare(found.softmaxEntropy, isSoftmax ? entropy : nil, "softmax_entropy")
    compare(found.perplexity, isSoftmax ? exp(entropy) : nil, "perplexity")

    let q = options.normalize ? reference.queries.unit() : reference.queries
    let k = reference.keys.map { options.normalize ? $0.unit() : $0 }
    compare(found.uniformityQueries, uniformity(q), "uniformity_queries")
    compare(found.uniformityKeys, k.map { uniformity($0) }, "uniformity_keys")
    let alignment = k.map { k in
      (0..<q.count).reduce(0.0) { sum, row in
        let key = input.positives?[row] ?? row
        return sum + q.dot(row, q, row) + k.dot(key, k, key) - 2 * q.dot(row, k, key)
      } / Double(q.count)
    }
    compare(found.alignment, alignment, "alignment")
    #expect(deviation.worst <= 1, "\(objective): \(deviation)")

    if isRanked {
      expectFalseNegatives(try #require(found.likelyFalseNegatives), rows, deviation.tolerance)
    } else {
      #expect(found.likelyFalseNegatives == nil)
    }
    return found
  }

  /// Pairs whose margins are equal in f32 may stand in any order.
  private func expectFalseNegatives(_ found: [[Int]], _ rows: [Reference.Similarities], _ tolerance: Double) {
    let margins = rows.flatMap { row in
      zip(row.others, row.columns).compactMap { $1 != nil && $0 > row.positive ? $0 - row.positive : nil }
    }.sorted(by: >)
    #expect(found.count == min(100, margins.count))
    #expect(Set(found).count == found.count)
    for (pair, wanted) in zip(found, margins) {
      let row = rows[pair[0]]
      guard let index = row.columns.firstIndex(of: pair[1]) else {
        Issue.record("\(pair) is not a pair of a query and another key than its positive")
        continue
      }
      #expect(abs(row.others[index] - row.positive - wanted) <= tolerance)
    }
  }
}
