import Contrastive
import SimilarityCore
import TestSupport
import Testing

/// Compares values and gradients, for every objective and option, with the formulas in f64 and finite differences.
@Suite struct FiniteDifferenceTests {
  @Test(arguments: LossCase.all) func valuesAndGradients(_ test: LossCase) throws {
    let input = test.input
    var options = test.options
    let value = try ContrastiveLoss.evaluate(input, options)
    #expect(value.gradients == nil)
    #expect(value.diagnostics == nil)
    options.wantsGradients = true
    let result = try ContrastiveLoss.evaluate(input, options)
    let reference = Reference(input, options)
    expectValues(value, reference, test)
    expectValues(result, reference, test)
    #expect(result.candidates == test.candidates)
    let gradients = try #require(result.gradients)
    let isBehindStop = test.objective == .simsiam || test.objective == .byol
    #expect((gradients.keys == nil) == (isBehindStop || input.keys == nil))
    #expect((gradients.negatives == nil) == (input.negatives == nil))
    #expect((gradients.temperature == nil) == isBehindStop)
    #expect((gradients.bias == nil) == (test.objective != .sigmoid))

    var deviation = Deviation(temperature: options.temperature)
    compare(gradients.queries, reference, \.queries.values, "queries", &deviation)
    if let keys = gradients.keys { compare(keys, reference, \.keyValues, "keys", &deviation) }
    if let negatives = gradients.negatives {
      compare(negatives, reference, \.negativeValues, "negatives", &deviation)
    }
    if let temperature = gradients.temperature {
      let wanted = slope(1e-4 * reference.temperature) { step in
        var moved = reference
        moved.temperature += step
        return moved.loss()
      }
      deviation.compare(temperature, wanted, "temperature")
    }
    if let bias = gradients.bias {
      let wanted = slope(1e-3) { step in
        var moved = reference
        moved.bias += step
        return moved.loss()
      }
      deviation.compare(bias, wanted, "bias")
    }
    #expect(deviation.worst <= 1, "\(deviation)")
  }

  private func expectValues(_ result: LossResult, _ reference: Reference, _ test: LossCase) {
    let expected = reference.perRow()
    var deviation = Deviation(temperature: test.temperature)
    #expect(result.perRow.count == expected.count)
    for (row, (found, wanted)) in zip(result.perRow, expected).enumerated() {
      deviation.compare(Double(found), wanted ?? 0, "row \(row)")
    }
    deviation.compare(result.loss, reference.loss(), "loss")
    #expect(deviation.worst <= 1, "\(deviation)")
    #expect(result.excluded == expected.indices.filter { expected[$0] == nil })
  }

  /// Compares every derivative of a small matrix. Of a large matrix, it compares those at edges of tiles, some random
  /// ones, and the derivative along a random direction, to which all values contribute.
  private func compare(
    _ found: Matrix, _ reference: Reference, _ values: WritableKeyPath<Reference, [Double]>, _ name: String,
    _ deviation: inout Deviation
  ) {
    let count = reference[keyPath: values].count
    #expect(found.values.count == count)
    guard found.values.count == count else { return }
    var random = Seeded(UInt64(count))
    var places = Array(0..<count)
    if count > 160 {
      let rows = [0, 63, 64, 127, 128, 255, 256, 511, 512, found.rows - 1].filter { $0 < found.rows }
      places = rows.map { $0 * found.columns + Int.random(in: 0..<found.columns, using: &random) }
      places += (0..<12).map { _ in Int.random(in: 0..<count, using: &random) }
      let direction = (0..<count).map { _ in Double.random(in: -1...1, using: &random) }
      let length = direction.reduce(0) { $0 + $1 * $1 }.squareRoot()
      let wanted = slope(3e-4) { step in
        var moved = reference
        for index in 0..<count { moved[keyPath: values][index] += step * direction[index] / length }
        return moved.loss()
      }
      let along = zip(found.values, direction).reduce(0) { $0 + Double($1.0) * $1.1 } / length
      deviation.compare(along, wanted, "\(name) along a direction")
    }
    for place in places {
      let wanted = slope(1e-4) { step in
        var moved = reference
        moved[keyPath: values][place] += step
        return moved.loss()
      }
      deviation.compare(
        Double(found.values[place]), wanted, "\(name)[\(place / found.columns)][\(place % found.columns)]")
    }
  }

  /// The derivative of `f` at 0 by central differences of fourth order, with an error of f⁽⁵⁾·step⁴/30.
  private func slope(_ step: Double, _ f: (Double) -> Double) -> Double {
    (8 * (f(step) - f(-step)) - (f(2 * step) - f(-2 * step))) / (12 * step)
  }
}

extension Reference {
  /// The values of the keys; empty where there are no keys.
  fileprivate var keyValues: [Double] {
    get { keys?.values ?? [] }
    set { keys?.values = newValue }
  }

  fileprivate var negativeValues: [Double] {
    get { negatives?.values ?? [] }
    set { negatives?.values = newValue }
  }
}
