import Contrastive
import Platform
import SimilarityCore
import TestSupport
import Testing

/// Batches at the limits of what is allowed.
@Suite struct EdgeTests {
  private func evaluate(_ input: LossInput, _ options: LossOptions) throws -> LossResult {
    var options = options
    options.wantsGradients = true
    options.wantsDiagnostics = true
    return try ContrastiveLoss.evaluate(input, options)
  }

  @Test(arguments: [true, false]) func aLoneCandidateCostsNothing(_ inBatch: Bool) throws {
    let one = try #require(Matrix(rows: 1, columns: 3, values: [0.3, -2, 5]))
    let other = try #require(Matrix(rows: 1, columns: 3, values: [1, 2, -0.5]))
    for objective in [Objective.infonce, .symmetric, .ntXent] {
      var options = LossOptions(objective)
      options.inBatchNegatives = inBatch
      let result = try evaluate(LossInput(queries: one, keys: other), options)
      #expect(result.loss == 0)
      #expect(result.perRow.allSatisfy { $0 == 0 })
      #expect(result.candidates == 1)
      #expect(result.gradients?.queries.values.allSatisfy { $0 == 0 } == true)
      #expect(result.gradients?.keys?.values.allSatisfy { $0 == 0 } == true)
      #expect(result.gradients?.temperature == 0)
      #expect(result.diagnostics?.accuracyTop1 == 1)
      #expect(result.diagnostics?.softmaxEntropy == 0)
      #expect(result.diagnostics?.uniformityKeys == nil)
      #expect(result.diagnostics?.negativeSimilarity == nil)
    }
  }

  /// The sizes and temperatures cover logits from f32 and from f64 products, and identical keys in different tiles.
  @Test(arguments: [7, 50, 63, 64, 65, 200, 600, 1030], [Float(0.005), 0.07, 100])
  func identicalRowsCostTheLogarithmOfTheirNumber(_ rows: Int, _ temperature: Float) throws {
    var random = Seeded(3)
    let row = random.floats(33)
    let same = try #require(
      Matrix(rows: rows, columns: 33, values: (0..<rows).flatMap { _ in row }))
    for objective in [Objective.infonce, .symmetric, .ntXent] {
      let options = LossOptions(objective, temperature: temperature)
      let plain = try ContrastiveLoss.evaluate(LossInput(queries: same, keys: same), options)
      let result = try evaluate(LossInput(queries: same, keys: same), options)
      let wanted = log(Double(result.candidates))
      #expect(abs(plain.loss - wanted) <= 1e-6)
      #expect(abs(result.loss - wanted) <= 1e-6)
      #expect(result.diagnostics?.accuracyTop1 == 0)
      #expect(abs((result.diagnostics?.meanReciprocalRank ?? 0) * Double(result.candidates) - 1) <= 1e-12)
      #expect(result.diagnostics?.likelyFalseNegatives == [])
    }
  }

  @Test(arguments: [6, 40, 100], [Float(0.005), 100]) func temperaturesFarApart(_ rows: Int, _ temperature: Float)
    throws
  {
    for objective in Objective.allCases where objective != .simsiam && objective != .byol {
      let test = LossCase(objective) {
        ($0.rows, $0.dimension, $0.temperature, $0.queue) = (rows, 16, temperature, objective == .moco ? 9 : nil)
      }
      let options = test.options
      let result = try evaluate(test.input, options)
      let reference = Reference(test.input, options)
      var deviation = Deviation(temperature: temperature)
      deviation.compare(result.loss, reference.loss(), "loss")
      for (row, (found, wanted)) in zip(result.perRow, reference.perRow()).enumerated() {
        deviation.compare(Double(found), wanted ?? 0, "row \(row)")
      }
      #expect(deviation.worst <= 1, "\(objective): \(deviation)")
      #expect(result.gradients?.queries.values.allSatisfy(\.isFinite) == true)
    }
  }

  @Test(arguments: [1, 4096], [3, 70]) func narrowAndWideRows(_ dimension: Int, _ rows: Int) throws {
    for objective in Objective.allCases {
      let test = LossCase(objective) {
        ($0.rows, $0.dimension, $0.queue) = (rows, dimension, objective == .moco ? 9 : nil)
      }
      let options = test.options
      let result = try evaluate(test.input, options)
      let reference = Reference(test.input, options)
      var deviation = Deviation(temperature: test.temperature)
      for (row, (found, wanted)) in zip(result.perRow, reference.perRow()).enumerated() {
        deviation.compare(Double(found), wanted ?? 0, "row \(row)")
      }
      // With a single dimension the cosine is constant, so every gradient is 0.
      if dimension == 1 {
        for value in result.gradients?.queries.values ?? [] { deviation.compare(Double(value), 0, "gradient") }
      }
      #expect(deviation.worst <= 1, "\(objective): \(deviation)")
    }
  }

  /// The products of such rows are out of the range of f32, but their cosines are not. A gradient is inversely
  /// proportional to the norm of its row.
  @Test(arguments: [5, 70], [1e30, 1e-30]) func extremeNormsDoNotMatter(_ rows: Int, _ factor: Double) throws {
    for objective in Objective.allCases {
      let test = LossCase(objective) { ($0.rows, $0.queue) = (rows, objective == .moco ? 9 : nil) }
      let input = test.input
      var options = test.options
      options.wantsGradients = true
      let plain = try ContrastiveLoss.evaluate(input, options)
      var scaled = input
      for row in 0..<rows {
        scaled.queries.scaleRow(row, by: factor)
        // Only some keys are scaled, so that one batch has keys of both kinds.
        if row % 3 != 1 { scaled.keys?.scaleRow(row, by: factor) }
      }
      scaled.queue?.scaleRow(2, by: factor)
      let result = try ContrastiveLoss.evaluate(scaled, options)
      var deviation = Deviation(temperature: test.temperature)
      deviation.compare(result.loss, plain.loss, "loss")
      let found = try #require(result.gradients)
      let wanted = try #require(plain.gradients)
      for (index, value) in found.queries.values.enumerated() {
        deviation.compare(Double(value) * factor, Double(wanted.queries.values[index]), "queries \(index)")
      }
      for (index, value) in (found.keys?.values ?? []).enumerated() {
        let scale = index / 8 % 3 != 1 ? factor : 1
        deviation.compare(Double(value) * scale, Double(wanted.keys?.values[index] ?? .nan), "keys \(index)")
      }
      #expect(deviation.worst <= 2, "\(objective): \(deviation)")
    }
  }

  @Test func duplicateKeysShareTheSoftmax() throws {
    let queries = try #require(Matrix(rows: 2, columns: 2, values: [1, 0, 0, 1]))
    let keys = try #require(Matrix(rows: 3, columns: 2, values: [1, 0, 0, 1, 2, 0]))
    let input = LossInput(queries: queries, keys: keys, positives: [0, 1])
    let result = try evaluate(input, LossOptions(.infonce, temperature: 1))
    #expect(abs(result.perRow[0] - Float(log(2 + exp(-1.0)))) <= 1e-6)
    #expect(abs(result.perRow[1] - Float(log(1 + 2 * exp(-1.0)))) <= 1e-6)
    #expect(result.diagnostics?.accuracyTop1 == 0.5)
    #expect(result.diagnostics?.meanReciprocalRank == 0.75)
  }

  @Test func aLabelWithoutPartnerIsLeftOut() throws {
    var random = Seeded(8)
    let rows = random.matrix(5, 4)
    let all = try evaluate(LossInput(queries: rows, labels: [4, 1, 4, 1, 7]), LossOptions(.supcon))
    #expect(all.excluded == [4])
    #expect(all.perRow[4] == 0)
    let sum = all.perRow.reduce(0) { $0 + Double($1) }
    #expect(abs(all.loss - sum / 4) <= 1e-6)
    // The row is still a candidate of the others.
    #expect(all.candidates == 4)
    #expect(all.gradients?.queries.row(4).contains { $0 != 0 } == true)
    #expect(throws: ContrastiveError.self) {
      try evaluate(LossInput(queries: rows, labels: [0, 1, 2, 3, 4]), LossOptions(.supcon))
    }
  }

  @Test func anEmptyQueueCostsNothing() throws {
    var random = Seeded(9)
    let queries = random.matrix(70, 6)
    let keys = random.matrix(70, 6)
    for columns in [6, 0] {
      let queue = try #require(Matrix(rows: 0, columns: columns, values: []))
      let result = try evaluate(LossInput(queries: queries, keys: keys, queue: queue), LossOptions(.moco))
      #expect(result.loss == 0)
      #expect(result.candidates == 1)
      #expect(result.gradients?.queries.values.allSatisfy { $0 == 0 } == true)
      var options = LossOptions(.infonce)
      let without = try ContrastiveLoss.evaluate(LossInput(queries: queries, keys: keys), options)
      let with = try ContrastiveLoss.evaluate(LossInput(queries: queries, keys: keys, queue: queue), options)
      #expect(with.loss == without.loss)
      options.inBatchNegatives = false
      #expect(try ContrastiveLoss.evaluate(LossInput(queries: queries, keys: keys), options).loss == 0)
    }
  }

  @Test(arguments: [true, false]) func emptyNegativesAreSkipped(_ arePaired: Bool) throws {
    var random = Seeded(10)
    let input = LossInput(queries: random.matrix(6, 5), keys: random.matrix(6, 5))
    var with = input
    let none = try #require(Matrix(rows: 0, columns: 5, values: []))
    with.negatives = arePaired ? .paired(none, perQuery: 0) : .shared(none)
    let plain = try evaluate(input, LossOptions(.infonce))
    let result = try evaluate(with, LossOptions(.infonce))
    #expect(result.loss == plain.loss)
    #expect(result.gradients?.keys == plain.gradients?.keys)
    #expect(result.gradients?.negatives?.rows == 0)
  }

  static let shapes: [LossCase] =
    Objective.allCases.flatMap { objective in
      [(5, 1), (50, 2), (300, 40)].map { rows, dimension in
        LossCase(objective) { ($0.rows, $0.dimension, $0.queue) = (rows, dimension, objective == .moco ? 70 : nil) }
      }
    } + [
      LossCase(.infonce) { ($0.rows, $0.keys, $0.paired, $0.queue, $0.dimension) = (200, 700, 3, 60, 24) },
      LossCase(.dcl) { ($0.rows, $0.paired, $0.inBatch, $0.dimension) = (200, 3, false, 24) },
      LossCase(.supcon) { ($0.rows, $0.hasSecondView, $0.dimension) = (700, false, 24) },
    ]

  /// The batch alone determines how the work is divided, so that results do not depend on the number of threads.
  @Test(arguments: shapes) func threadsDoNotShow(_ test: LossCase) throws {
    let input = test.input
    var options = test.options
    let plain = try ContrastiveLoss.evaluate(input, options)
    let alone = try evaluate(input, options)
    for threads in [1, 2, 3, 5] {
      options.threads = threads
      #expect(try ContrastiveLoss.evaluate(input, options).perRow == plain.perRow)
      let shared = try evaluate(input, options)
      #expect(shared.loss == alone.loss)
      #expect(shared.perRow == alone.perRow)
      #expect(shared.gradients?.queries == alone.gradients?.queries)
      #expect(shared.gradients?.keys == alone.gradients?.keys)
      #expect(shared.gradients?.negatives == alone.gradients?.negatives)
      #expect(shared.gradients?.temperature == alone.gradients?.temperature)
      #expect(shared.gradients?.bias == alone.gradients?.bias)
      #expect("\(shared.diagnostics as Any)" == "\(alone.diagnostics as Any)")
    }
  }
}
