import Platform
import SimilarityCore
import TestSupport
import Testing

/// Compares dense layers with the same formula in f64, in every precision and in every variant of the kernels.
@Suite struct DenseLayerTests {
  struct Shape: Sendable, CustomTestStringConvertible {
    let inputs: Int
    let outputs: Int
    var testDescription: String { "\(inputs) → \(outputs)" }
  }

  /// Sizes around those of vectors, panels and rotations, and those of an encoder.
  static let shapes = [
    (1, 1), (2, 3), (3, 16), (4, 17), (7, 5), (8, 8), (12, 40), (15, 31), (16, 32), (17, 33), (31, 64), (64, 1),
    (65, 70), (100, 100), (128, 48), (192, 65), (312, 96), (384, 384), (768, 50), (1024, 40), (1536, 30),
  ].map { Shape(inputs: $0.0, outputs: $0.1) }

  @Test(arguments: Kernels.runnable, shapes) func f32IsTheFormula(_ kernels: Kernels, _ shape: Shape) throws {
    let layer = try Layer(shape, seed: 1)
    let x = layer.rows(29)
    let found = try layer.apply(x, .f32, kernels)
    for (row, expected) in layer.expected(x).enumerated() {
      for (output, value) in expected.enumerated() {
        let bound = 1e-6 * layer.size(x[row], output)
        #expect(abs(Double(found[row][output]) - value) <= bound, "row \(row), output \(output)")
      }
    }
  }

  /// Sums of rounded values: what is left is the rounding of the sums.
  @Test(arguments: Kernels.runnable, shapes) func bf16RoundsBothSides(_ kernels: Kernels, _ shape: Shape) throws {
    var layer = try Layer(shape, seed: 2)
    let x = layer.rows(29)
    let found = try layer.apply(x, .bf16, kernels)
    layer.weights = layer.weights.map(bf16)
    let rounded = x.map { $0.map(bf16) }
    for (row, expected) in layer.expected(rounded).enumerated() {
      for (output, value) in expected.enumerated() {
        let bound = 1e-6 * layer.size(rounded[row], output)
        #expect(abs(Double(found[row][output]) - value) <= bound, "row \(row), output \(output)")
      }
    }
  }

  @Test func bf16IsTheNearestAndTiesGoToEven() throws {
    // 1 + 2⁻⁸ lies between 1 and 1 + 2⁻⁷; 1 + 3·2⁻⁸ between 1 + 2⁻⁷ and 1 + 2⁻⁶.
    for (value, expected) in [(1.00390625, 1), (1.01171875, 1.015625), (1.00390637, 1.0078125)] as [(Float, Float)] {
      #expect(bf16(value) == expected)
      for kernels in Kernels.runnable {
        let layer = try DenseLayer(
          inputs: 1, outputs: 1, weights: [1], bias: [0], precision: .bf16, kernels: kernels)
        #expect(try apply(layer, [[value]], kernels)[0][0] == expected)
      }
    }
  }

  /// The error of 8 bits is about one part in 127·√12 of the largest value on each side.
  @Test(arguments: Kernels.runnable, shapes) func int8IsNear(_ kernels: Kernels, _ shape: Shape) throws {
    let layer = try Layer(shape, seed: 3)
    let x = layer.rows(29)
    let found = try layer.apply(x, .int8, kernels)
    for (row, expected) in layer.expected(x).enumerated() {
      for (output, value) in expected.enumerated() {
        let bound = 0.03 * layer.length(x[row], output)
        #expect(abs(Double(found[row][output]) - value) <= bound, "row \(row), output \(output)")
      }
    }
  }

  /// One value that is a hundred times as large as the others costs the others hardly any accuracy.
  @Test(arguments: Kernels.runnable) func int8SpreadsLargeValues(_ kernels: Kernels) throws {
    let layer = try Layer(Shape(inputs: 384, outputs: 96), seed: 4)
    var x = layer.rows(8)
    let usual = try error(layer, x, kernels)
    for row in x.indices { x[row][17 * row + 5] *= 100 }
    let large = try error(layer, x, kernels)
    // Without a rotation, 127 steps up to the large value leave one step for all others, and the error is near 1.
    #expect(usual < 0.012)
    #expect(large < 0.012)
  }

  /// The Euclidean norm of the error relative to that of the result.
  private func error(_ layer: Layer, _ x: [[Float]], _ kernels: Kernels) throws -> Double {
    let found = try layer.apply(x, .int8, kernels)
    var (wrong, all) = (0.0, 0.0)
    for (row, expected) in layer.expected(x).enumerated() {
      for (output, value) in expected.enumerated() {
        wrong += (Double(found[row][output]) - value) * (Double(found[row][output]) - value)
        all += value * value
      }
    }
    return (wrong / all).squareRoot()
  }

  /// A row gives the same bytes alone, and after any number of others.
  @Test(arguments: Kernels.runnable, Precision.allCases)
  func aRowDoesNotDependOnTheOthers(_ kernels: Kernels, _ precision: Precision) throws {
    for shape in [Shape(inputs: 384, outputs: 70), Shape(inputs: 37, outputs: 33)] {
      let layer = try Layer(shape, seed: 5)
      let x = layer.rows(50)
      let alone = try x.map { try layer.apply([$0], precision, kernels)[0] }
      for count in 1...50 {
        let found = try layer.apply(Array(x.prefix(count)), precision, kernels)
        #expect(found.joined().map(\.bitPattern) == alone.prefix(count).joined().map(\.bitPattern), "\(count) rows")
      }
    }
  }

  @Test(arguments: Kernels.runnable, Precision.allCases)
  func valuesThatAreNotFiniteStayInTheirRow(_ kernels: Kernels, _ precision: Precision) throws {
    let layer = try Layer(Shape(inputs: 40, outputs: 20), seed: 6)
    let clean = layer.rows(9)
    let expected = try layer.apply(clean, precision, kernels)
    for value in [Float.nan, .infinity, -.infinity] {
      for place in [0, 7, 39] {
        var x = clean
        x[4][place] = value
        let found = try layer.apply(x, precision, kernels)
        for row in x.indices {
          if row == 4 {
            #expect(!found[row].contains { $0.isFinite })
          } else {
            #expect(found[row] == expected[row])
          }
        }
      }
    }
  }

  @Test(arguments: Kernels.runnable, Precision.allCases)
  func rowsOfZerosGiveTheBias(_ kernels: Kernels, _ precision: Precision) throws {
    let layer = try Layer(Shape(inputs: 48, outputs: 20), seed: 7)
    let zeros = [Float](repeating: 0, count: 48)
    let tiny = [Float](repeating: 100 * .leastNonzeroMagnitude, count: 48)
    #expect(try layer.apply([zeros, tiny], precision, kernels) == [layer.bias, layer.bias])
  }

  @Test func memoryThatIsNotThereIsReported() {
    // A pebibyte of weights cannot be allocated; the array of them cannot be made either, so the memory is asked for
    // alone.
    #expect(throws: OutOfMemory.self) { try AlignedMemory(bytes: 1 << 50) }
  }
}

/// A layer with its weights.
private struct Layer {
  let shape: DenseLayerTests.Shape
  var weights: [Float]
  let bias: [Float]

  init(_ shape: DenseLayerTests.Shape, seed: UInt64) throws {
    self.shape = shape
    var random = Seeded(seed)
    weights = random.floats(shape.inputs * shape.outputs)
    bias = random.floats(shape.outputs)
  }

  func rows(_ count: Int) -> [[Float]] {
    var random = Seeded(UInt64(count))
    return (0..<count).map { row in random.floats(shape.inputs).map { $0 * Float(1 + row % 3) } }
  }

  func apply(_ x: [[Float]], _ precision: Precision, _ kernels: Kernels) throws -> [[Float]] {
    let layer = try DenseLayer(
      inputs: shape.inputs, outputs: shape.outputs, weights: weights, bias: bias, precision: precision,
      kernels: kernels)
    return try SimilarityCoreTests.apply(layer, x, kernels)
  }

  func expected(_ x: [[Float]]) -> [[Double]] {
    x.map { row in
      (0..<shape.outputs).map { output in
        row.indices.reduce(Double(bias[output])) {
          $0 + Double(row[$1]) * Double(weights[output * shape.inputs + $1])
        }
      }
    }
  }

  /// The sum of the sizes of all terms, which rounding errors are relative to.
  func size(_ row: [Float], _ output: Int) -> Double {
    row.indices.reduce(Double(abs(bias[output]))) {
      $0 + abs(Double(row[$1]) * Double(weights[output * shape.inputs + $1]))
    }
  }

  /// ‖row‖·‖weights of the output‖.
  func length(_ row: [Float], _ output: Int) -> Double {
    func square(_ values: some Sequence<Float>) -> Double { values.reduce(0) { $0 + Double($1) * Double($1) } }
    let own = weights[output * shape.inputs..<(output + 1) * shape.inputs]
    return (square(row) * square(own)).squareRoot() + 1e-6
  }
}

private func apply(_ layer: DenseLayer, _ x: [[Float]], _ kernels: Kernels) throws -> [[Float]] {
  let stride = kernels.operandStride(inputs: layer.inputs, precision: layer.precision)
  let operand = try AlignedMemory(bytes: stride * x.count)
  let scratch = try AlignedMemory(bytes: 4 * Kernels.operandScratch(inputs: layer.inputs))
  kernels.prepare(
    Array(x.joined()), rows: x.count, inputs: layer.inputs, precision: layer.precision, scratch: scratch.floats,
    into: operand.start)
  var y = [Float](repeating: .nan, count: x.count * layer.outputs)
  layer.apply(operand.start, rows: x.count, stride: stride, into: &y)
  return x.indices.map { Array(y[$0 * layer.outputs..<($0 + 1) * layer.outputs]) }
}

/// The nearest bf16; ties go to the one whose last bit is 0.
private func bf16(_ value: Float) -> Float {
  let bits = value.bitPattern
  return Float(bitPattern: (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff_0000)
}
