import Contrastive
import Encoder
import Platform
import SimilarityCore
import TestSupport
import Testing
import Training

/// Tables of token vectors: how they begin, what they learn from a teacher, and how they are written. The teacher is a tiny
/// transformer of random weights.
@Suite struct StaticModelTests {
  private static let folder = "\(ModelFolder.repository)/Tests/EncoderTests/Families/bert"

  private static func unit(_ values: some Sequence<Float>) -> [Double] {
    let norm = values.reduce(0) { $0 + Double($1) * Double($1) }.squareRoot()
    return values.map { Double($0) / norm }
  }

  @Test func axesAreTheEigenvectorsOfTheMoments() throws {
    var random = Seeded(71)
    let (width, count) = (11, 50)
    let rows = random.matrix(count, width)
    let weights = (0..<count).map { _ in Float.random(in: 0.5...2, using: &random) }
    let axes = PrincipalAxes(of: rows, weights: weights, count: width).axes
    var lengths: [Double] = []
    for i in 0..<width {
      for j in 0..<width {
        let product = zip(axes.row(i), axes.row(j)).reduce(0) { $0 + Double($1.0) * Double($1.1) }
        #expect(abs(product - (i == j ? 1 : 0)) < 1e-6)
      }
      // M·v = λ·v, with M·v = Σ w·(x·v)·x.
      var image = [Double](repeating: 0, count: width)
      for row in 0..<count {
        let along = zip(rows.row(row), axes.row(i)).reduce(0) { $0 + Double($1.0) * Double($1.1) }
        for (column, value) in rows.row(row).enumerated() {
          image[column] += Double(weights[row]) * along * Double(value)
        }
      }
      let length = zip(image, axes.row(i)).reduce(0) { $0 + $1.0 * Double($1.1) }
      for (value, axis) in zip(image, axes.row(i)) { #expect(abs(value - length * Double(axis)) < 1e-4) }
      lengths.append(length)
    }
    #expect(lengths == lengths.sorted(by: >))
    // Fewer axes are the first ones.
    #expect(PrincipalAxes(of: rows, weights: weights, count: 4).axes.values == Array(axes.values[..<(4 * width)]))
    // A matrix of rank 1 has one direction.
    let line = Matrix(rows: 3, columns: 2) { out in for index in 0..<6 { out[index] = Float(index % 2 == 0 ? 3 : 4) } }
    let first = PrincipalAxes(of: line, count: 2).axes
    #expect(abs(abs(first.values[0]) - 0.6) < 1e-6 && abs(abs(first.values[1]) - 0.8) < 1e-6)
    #expect(first.values[2...] == [0, 0])
  }

  /// Each row is the teacher's vector of the token alone, times a/(a + p).
  @Test func aTableBeginsWithWhatTheTeacherSaysOfTokens() throws {
    let encoder = try SentenceEncoder(folder: Self.folder)
    let counts = (0..<29).map { $0 * 10 }
    let model = try StaticModel(teacher: Self.folder, counts: counts, precision: .f32, threads: 2)
    #expect(model.model.dimension == 32 && model.model.vocabularySize == 29)
    let values = try FloatArray(model.model.layout.count)
    try model.model.load(into: values)
    let total = Double(counts.reduce(0, +) + 29)
    for token in [0, 7, 28] {
      let vector = try encoder.encode([[encoder.framing.before[0], Int32(token), encoder.framing.after[0]]])
      let weight = 1e-3 / (1e-3 + Double(counts[token] + 1) / total)
      for (column, value) in Self.unit(vector.row(0)).enumerated() {
        #expect(abs(Double(values.values[token * 32 + column]) - weight * value) < 1e-6)
      }
    }
    // Without counts frequent tokens are those with low numbers, and there is nothing to project where all values are kept.
    let plain = try StaticModel(teacher: Self.folder, precision: .f32, threads: 1)
    try plain.model.load(into: values)
    let sum = (2..<31).reduce(0) { $0 + 1 / Double($1) }
    let norm = (0..<32).reduce(0) { $0 + Double(values.values[5 * 32 + $1]) * Double(values.values[5 * 32 + $1]) }
    #expect(abs(norm.squareRoot() - 1e-3 / (1e-3 + 1 / (7 * sum))) < 1e-6)
  }

  @Test func theTeachersRowsAreItsVectorsProjected() throws {
    let encoder = try SentenceEncoder(folder: Self.folder)
    let texts = [[5, 6, 7], [9], [5, 6, 7]].map { TokenSequence($0) }
    let rows = try TeacherRows(encoder, nil, threads: 2).rows(texts)
    for (index, text) in texts.enumerated() {
      let vector = try encoder.encode([encoder.framing.before + text.ids + encoder.framing.after])
      for (value, wanted) in zip(rows.row(index), Self.unit(vector.row(0))) {
        #expect(abs(Double(value) - wanted) < 1e-6)
      }
    }
    let model = try StaticModel(teacher: Self.folder, dimension: 8, precision: .f32, threads: 1)
    let teacher = try #require(model.teacher)
    let projected = try teacher.rows(texts)
    #expect(projected.columns == 8)
    #expect(abs(projected.row(1).reduce(0) { $0 + $1 * $1 } - 1) < 1e-5)
    // In any order, alone or together, and asked for once more.
    #expect(try teacher.rows([texts[1]]).values == Array(projected.row(1)))
    #expect(throws: EncodingFailure.invalidInput(1)) { try teacher.rows([TokenSequence([6]), TokenSequence([99])]) }
    #expect(try teacher.rows([texts[0]]).values == Array(projected.row(0)))
    #expect(throws: StepError.option("dimension", "must be from 1 to the teacher's 32")) {
      try StaticModel(teacher: Self.folder, dimension: 33, threads: 1)
    }
  }

  private static func batch(_ random: inout Seeded) -> TokenBatch {
    func text() -> TokenSequence {
      TokenSequence((0..<Int.random(in: 2...8, using: &random)).map { _ in Int32.random(in: 5..<28, using: &random) })
    }
    let queries = (0..<12).map { _ in text() }
    return TokenBatch(queries: queries, positives: queries.map { _ in text() })
  }

  /// The gradient is the weighted sum of both losses' gradients, and that against the teacher is the slope of the loss.
  @Test func bothLossesHaveTheirWeights() throws {
    let model = try StaticModel(teacher: Self.folder, dimension: 16, precision: .f32, threads: 1)
    var random = Seeded(73)
    let batch = Self.batch(&random)
    func step(_ weight: Float?) throws -> (loss: Double, gradients: [Float]) {
      var options = StepOptions(.infonce, temperature: 0.2)
      (options.teacherWeight, options.teacherTemperature) = (weight ?? 0, 0.1)
      let step = try TrainingStep(
        model: model.model, options: options, crew: .alone, teacher: weight == nil ? nil : model.teacher)
      let result = try step.gradients(of: batch, step: 0)
      return (result.loss, Array(step.trained[0].gradients.values))
    }
    let (own, taught, both) = (try step(nil), try step(1), try step(0.25))
    #expect(abs(both.loss - 0.75 * own.loss - 0.25 * taught.loss) < 1e-6)
    for (index, value) in both.gradients.enumerated() {
      #expect(abs(value - 0.75 * own.gradients[index] - 0.25 * taught.gradients[index]) < 1e-6)
    }
    let largest = taught.gradients.reduce(0) { max($0, abs($1)) }
    var options = StepOptions(.infonce)
    options.teacherTemperature = 0.1
    let moving = try TrainingStep(model: model.model, options: options, crew: .alone, teacher: model.teacher)
    let values = moving.trained[0].values
    for place in stride(from: 5 * 16, to: 28 * 16, by: 7) {
      let value = values.values[place]
      func loss(_ change: Float) throws -> Double {
        values.values[place] = value + change
        return try moving.gradients(of: batch, step: 0).loss
      }
      let near = try loss(0.002) - loss(-0.002)
      let slope = (8 * near - (try loss(0.004) - loss(-0.004))) / 0.024
      values.values[place] = value
      #expect(abs(slope - Double(taught.gradients[place])) < 2e-3 * Double(largest))
    }
    // The same text on both sides counts once.
    var doubled = batch
    doubled.positives = doubled.queries
    #expect(try moving.gradients(of: doubled, step: 0).loss.isFinite)
    #expect(throws: StepError.option("objective", "byol cannot be combined with a teacher")) {
      try TrainingStep(model: model.model, options: StepOptions(.byol), crew: .alone, teacher: model.teacher)
    }
  }

  /// A table from a teacher, trained against its vectors, is written, and loaded as an encoder that gives the same vectors.
  @Test func aTableLearnsAndIsWritten() throws {
    let model = try StaticModel(teacher: Self.folder, precision: .f32, threads: 1)
    let teacher = try #require(model.teacher)
    var options = StepOptions(.infonce)
    options.teacherTemperature = 0.1
    let step = try TrainingStep(model: model.model, options: options, crew: Crew(threads: 2), teacher: teacher)
    var random = Seeded(79)
    let held = Self.batch(&random).queries
    // The share of texts whose vector is nearest to the teacher's of the same text.
    func recall() throws -> Double {
      let (rows, wanted) = (try step.embed(held), try teacher.rows(held))
      func product(_ a: Int, _ b: Int) -> Float { zip(rows.row(a), wanted.row(b)).reduce(0) { $0 + $1.0 * $1.1 } }
      let found = held.indices.filter { own in
        held.indices.allSatisfy { $0 == own || product(own, $0) < product(own, own) }
      }
      return Double(found.count) / Double(held.count)
    }
    let before = try recall()
    let optimiser = try AdamW(step.trained)
    var losses: [Double] = []
    for number in 0..<200 {
      let result = try step.gradients(of: Self.batch(&random), step: number)
      try optimiser.step(number, loss: result.loss, rate: 0.01)
      try step.finish(step: number)
      losses.append(result.loss)
    }
    #expect(before <= 0.25)
    #expect(try recall() >= 0.6)
    #expect(losses[0] > 3 && losses[199] < 2.3)

    let path = "\(getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp")/nearfar-static-\(getpid())"
    defer { _ = system("rm -rf '\(path)'") }
    try model.write(to: path, try step.valuesToSave())
    let encoder = try SentenceEncoder(folder: path)
    #expect(encoder.normalizes && !encoder.hasTransformer && encoder.dimension == 32)
    let written = try encoder.encode(held)
    let expected = try step.embed(held)
    for (value, wanted) in zip(written.values, expected.values) { #expect(abs(value - wanted) < 1e-6) }
    let text = "the cat sees a red door"
    let sequence = try #require(encoder.sequence(of: text, TextOptions()))
    #expect(sequence == SequenceMaker(model.tokenizer, model.tokenizing).sequence(text, .document))
  }

  @Test func aTableFromNothingFollowsFromItsSeed() throws {
    func values(_ seed: UInt64) throws -> [Float] {
      let model = try StaticModel(tokenizerOf: Self.folder, dimension: 100, seed: seed)
      #expect(model.teacher == nil)
      let values = try FloatArray(model.model.layout.count)
      try model.model.load(into: values)
      return Array(values.values[..<2900])
    }
    let first = try values(1)
    #expect(try values(1) == first)
    #expect(try values(2) != first)
    let mean = first.reduce(0, +) / 2900
    let deviation = (first.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / 2900).squareRoot()
    #expect(abs(mean) < 0.01 && abs(deviation - 0.1) < 0.005)
    #expect(throws: EncoderError.self) { try StaticModel(tokenizerOf: "/nowhere", dimension: 4, seed: 1) }
  }
}
