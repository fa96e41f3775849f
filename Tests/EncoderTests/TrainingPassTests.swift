import Encoder
import Foundation
import SimilarityCore
import TestSupport
import Testing

/// What holds for passes of every model: slopes are those of the rows, whatever dropout sets to zero; and the bytes are the
/// same for any number of threads, for any division of texts that are kept, and for a second pass.
@Suite struct TrainingPassTests {
  static let folders =
    ["bert", "mpnet", "modernbert", "nomic-bert", "qwen3-divided", "gemma3"].map { "\(FamilyTests.folder)/\($0)" }
    + ["bert-cls-dense-bf16-sharded", "gemma3-dense", "distilbert-max"].map {
      "\(FamilyTests.folder)/sentence-transformers/\($0)"
    }

  /// Some texts of 1 to 40 tokens.
  private static func texts(_ count: Int, longest: Int = 40) -> [TokenSequence] {
    var random = Seeded(4)
    return (0..<count).map { index in
      let length = Int.random(in: 1...longest, using: &random)
      return TokenSequence(
        (0..<length).map { _ in Int32.random(in: 5..<27, using: &random) }, unpooled: index.isMultiple(of: 3) ? 1 : 0)
    }
  }

  private static func dropout(_ count: Int) -> Dropout {
    Dropout(seed: 7, serials: (0..<count).map { 5 << 32 + UInt64($0) })
  }

  /// Σ weights·rows, in f64.
  private static func loss(_ rows: Matrix) -> Double {
    let weights = GradientTests.weights(rows: rows.rows, columns: rows.columns)
    return zip(rows.values, weights.values).reduce(0) { $0 + Double($1.0) * Double($1.1) }
  }

  /// Central differences along a direction in every tensor. The mask is the same in all passes. A maximum has no slope where
  /// another value becomes the largest, so that the model that pools it is left out.
  @Test(arguments: folders.filter { !$0.hasSuffix("max") }) func slopesAreDifferencesWithDropout(_ folder: String)
    throws
  {
    let model = try TrainableEncoder(folder: folder, dropout: 0.2).model
    let sequences = Self.texts(4, longest: 20)
    let values = try FloatArray(model.layout.count)
    try model.load(into: values)
    let dropout = Self.dropout(sequences.count)
    let found = try GradientTests.gradients(of: model, sequences, values, dropout: dropout)
    let without = try model.forward(sequences, values, dropout: nil, keeps: false, nil).rows
    #expect(found.rows != without)
    var random = Seeded(11)
    let largest = found.gradients.values.reduce(0) { max($0, abs($1)) }
    for entry in model.layout.entries {
      // Along the gradient itself the slope is as large as it can be, and rounding matters least.
      let gradient = Array(found.gradients.values[entry.range])
      let noise = random.floats(entry.count)
      let norm = gradient.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
      guard norm > 1e-5 * Double(largest) else { continue }
      let direction = zip(gradient, noise).map {
        Double($0) / norm + 0.1 * Double($1) / Double(entry.count).squareRoot()
      }
      let slope = zip(gradient, direction).reduce(0.0) { $0 + Double($1.0) * $1.1 }
      let saved = Array(values.values[entry.range])
      let scale = saved.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot() + 0.1
      let step = 2e-3 * min(scale, 1)
      func value(_ sign: Double) throws -> Double {
        for (index, place) in entry.range.enumerated() {
          values.start[place] = Float(Double(saved[index]) + sign * step * direction[index])
        }
        return Self.loss(try model.forward(sequences, values, dropout: dropout, keeps: false, nil).rows)
      }
      let difference = (try value(1) - value(-1)) / (2 * step)
      for (index, place) in entry.range.enumerated() { values.start[place] = saved[index] }
      // The loss is rounded to about 1e-6 of its terms, and the third derivative adds step² of its own size.
      #expect(abs(difference - slope) <= 5e-3 * abs(slope) + 2e-3 * Double(largest), "\(entry.name)")
    }
  }

  @Test(arguments: folders, [Precision.f32, .bf16])
  func bytesAreTheSameForAnyNumberOfThreads(_ folder: String, _ precision: Precision) throws {
    let model = try TrainableEncoder(folder: folder, dropout: 0.1, precision: precision).model
    // More than one piece of rows, and a text whose heads are divided.
    var sequences = Self.texts(30)
    sequences.append(TokenSequence((0..<300).map { Int32(5 + $0 % 22) }))
    let values = try FloatArray(model.layout.count)
    try model.load(into: values)
    let dropout = Self.dropout(sequences.count)
    let expected = try GradientTests.gradients(of: model, sequences, values, dropout: dropout)
    #expect(expected.gradients.values.allSatisfy { $0.isFinite })
    for threads in 1...3 {
      let found = try Crew(threads: threads).work { team in
        try GradientTests.gradients(of: model, sequences, values, dropout: dropout, team)
      }
      #expect(found.rows.values.map(\.bitPattern) == expected.rows.values.map(\.bitPattern))
      #expect(found.gradients.values.elementsEqual(expected.gradients.values) { $0.bitPattern == $1.bitPattern })
    }
    // A pass that keeps nothing gives the same rows.
    let rows = try model.forward(sequences, values, dropout: dropout, keeps: false, nil).rows
    #expect(rows.values.map(\.bitPattern) == expected.rows.values.map(\.bitPattern))
  }

  /// A number has 8 bits in a product of bf16: rows and gradients are near those of f32, with the same mask, and not equal.
  /// A rounded maximum may come from another token, so that the model that pools it is left out.
  @Test(.enabled(if: Kernels.active.multipliesBF16), arguments: folders.filter { !$0.hasSuffix("max") })
  func productsOfBF16AreNearThoseOfF32(_ folder: String)
    throws
  {
    let sequences = Self.texts(9)
    let dropout = Self.dropout(sequences.count)
    func found(_ precision: Precision) throws -> (rows: Matrix, gradients: FloatArray, layout: ParameterLayout) {
      let model = try TrainableEncoder(folder: folder, dropout: 0.1, precision: precision).model
      let values = try FloatArray(model.layout.count)
      try model.load(into: values)
      let result = try GradientTests.gradients(of: model, sequences, values, dropout: dropout)
      return (result.rows, result.gradients, model.layout)
    }
    let (exact, rounded) = (try found(.f32), try found(.bf16))
    #expect(exact.rows != rounded.rows)
    #expect(GradientTests.cosine(exact.rows.values, rounded.rows.values) > 0.999)
    let matrices = exact.layout.entries.filter { $0.role == .matrix }
    let gradients = [exact, rounded].map { result in matrices.flatMap { Array(result.gradients.values[$0.range]) } }
    #expect(GradientTests.cosine(gradients[0], gradients[1]) > 0.995)
  }

  /// The mask of a text depends on its serial number alone.
  @Test(arguments: folders) func rowsUnderDropoutDoNotDependOnOtherTexts(_ folder: String) throws {
    let model = try TrainableEncoder(folder: folder, dropout: 0.3).model
    let sequences = Self.texts(6)
    let values = try FloatArray(model.layout.count)
    try model.load(into: values)
    let dropout = Self.dropout(sequences.count)
    let together = try model.forward(sequences, values, dropout: dropout, keeps: false, nil).rows
    for index in sequences.indices {
      let own = Dropout(seed: dropout.seed, serials: [dropout.serials[index]])
      let alone = try model.forward([sequences[index]], values, dropout: own, keeps: false, nil).rows
      let cosine = GradientTests.cosine(Array(alone.row(0)), Array(together.row(index)))
      #expect(cosine > 0.999_999)
    }
  }

  /// Tensors of frozen layers get no gradient, and the others the same as without freezing.
  @Test(arguments: folders) func frozenLayersGetNoGradient(_ folder: String) throws {
    let model = try TrainableEncoder(folder: folder).model
    let sequences = Self.texts(3)
    let values = try FloatArray(model.layout.count)
    try model.load(into: values)
    let all = try GradientTests.gradients(of: model, sequences, values).gradients
    for depth in 1...model.layout.depth {
      let found = try GradientTests.gradients(of: model, sequences, values, from: depth).gradients
      for entry in model.layout.entries where entry.name.contains("relative") == false {
        let expected = entry.depth < depth ? [Float](repeating: 0, count: entry.count) : Array(all.values[entry.range])
        #expect(Array(found.values[entry.range]) == expected, "\(entry.name) from \(depth)")
      }
    }
  }

  /// What a pass keeps, as it says and as it is: the memory of many passes is counted by what a process holds that does nothing else.
  @Test func keptBytesAreTrue() async {
    await #expect(processExitsWith: .success) {
      let model = try TrainableEncoder(folder: ModelFolder.path).model
      // all-MiniLM-L6-v2.
      #expect(model.keptBytes(lengths: Array(repeating: 16, count: 64)) / 1024 < 110_000)
      let values = try FloatArray(model.layout.count)
      try model.load(into: values)
      var random = Seeded(3)
      let sequences = (0..<64).map { _ in
        TokenSequence((0..<16).map { _ in Int32.random(in: 1000..<20000, using: &random) })
      }
      func pass() throws -> TrainingPass {
        try #require(try model.forward(sequences, values, dropout: nil, keeps: true, nil).pass)
      }
      // The first pass makes workspaces and the library's own memory.
      _ = try pass()
      let before = try TrainingPassTests.residentBytes()
      let passes = try (0..<4).map { _ in try pass() }
      // One buffer of the first pass is used again.
      let found = Double(try TrainingPassTests.residentBytes() - before) / 3
      let stated = Double(model.keptBytes(lengths: sequences.map(\.count)))
      #expect(abs(found - stated) <= 0.2 * stated, "\(found) bytes, stated \(stated)")
      withExtendedLifetime(passes) {}
    }
  }

  private static func residentBytes() throws -> Int {
    let text = try String(contentsOfFile: "/proc/self/statm", encoding: .utf8)
    return (Int(text.split(separator: " ")[1]) ?? 0) * Int(getpagesize())
  }
}
