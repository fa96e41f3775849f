import Encoder
import Foundation
import SimilarityCore
import TestSupport
import Testing
import Training

/// 20 steps of torch.optim.AdamW behind clip_grad_norm_, written by generate_optimizer.py.
private struct GoldenRun: Decodable {
  struct Tensor: Decodable {
    let name: String
    let shape: [Int]
    let role: String
    let depth: Int
  }

  struct Step: Decodable {
    let rate: Double
    let norm: Double
    let gradients: String
    let values: String
  }

  let tensors: [Tensor]
  let peak: Double
  let warmup: Int
  let steps: Int
  let decay: Double
  let limit: Double
  let layerDecay: Double
  let initial: String
  let run: [Step]

  static func load() throws -> GoldenRun {
    let path = "\(ModelFolder.repository)/Tests/TrainingTests/Fixtures/adamw.json"
    return try JSONDecoder().decode(GoldenRun.self, from: Data(contentsOf: URL(fileURLWithPath: path)))
  }

  var layout: ParameterLayout {
    let roles: [String: ParameterLayout.Role] = ["table": .table, "matrix": .matrix, "bias": .bias, "norm": .norm]
    var layout = ParameterLayout()
    for tensor in tensors { layout.add(tensor.name, tensor.shape, roles[tensor.role] ?? .bias, depth: tensor.depth) }
    return layout
  }
}

/// The values of base64 of little-endian f32.
private func floats(_ base64: String) -> [Float] {
  let bytes = [UInt8](Data(base64Encoded: base64) ?? Data())
  return stride(from: 0, to: bytes.count - 3, by: 4).map { start in
    Float(bitPattern: (0..<4).reduce(UInt32(0)) { $0 | UInt32(bytes[start + $1]) << UInt32(8 * $1) })
  }
}

/// Writes values that stand without gaps to the places of a layout.
private func fill(_ array: FloatArray, _ layout: ParameterLayout, _ values: [Float]) {
  var next = 0
  for entry in layout.entries {
    for index in entry.range {
      array.values[index] = values[next]
      next += 1
    }
  }
}

private func packed(_ array: FloatArray, _ layout: ParameterLayout) -> [Float] {
  layout.entries.flatMap { Array(array.values[$0.range]) }
}

private func optimiser(of golden: GoldenRun, _ array: TrainedArray) throws -> AdamW {
  var options = AdamW.Options()
  (options.weightDecay, options.largestNorm) = (golden.decay, golden.limit)
  options.rates = LearningRates(layerDecay: golden.layerDecay)
  return try AdamW([array], options)
}

@Test func stepsOfAdamWAreThoseOfPyTorch() throws {
  let golden = try GoldenRun.load()
  let array = try TrainedArray("model", golden.layout)
  fill(array.values, array.layout, floats(golden.initial))
  let adamW = try optimiser(of: golden, array)
  let schedule = Schedule(.linear, peak: golden.peak, warmup: golden.warmup, steps: golden.steps)
  #expect(golden.run.count == 20)
  for (index, step) in golden.run.enumerated() {
    fill(array.gradients, array.layout, floats(step.gradients))
    #expect(abs(schedule.rate(at: index) - step.rate) <= 1e-15)
    let norm = try adamW.step(index, loss: 1, rate: schedule.rate(at: index))
    #expect(abs(norm / step.norm - 1) <= 1e-6)
    let difference = zip(packed(array.values, array.layout), floats(step.values)).map { abs($0 - $1) }.max() ?? 1
    #expect(difference <= 1e-6, "step \(index): \(difference)")
  }
  #expect(adamW.steps == 20)
}

/// More than one piece, on several threads, from a state that was copied in the middle.
@Test func stepsAreTheSameForAnyThreadsAndFromACopiedState() throws {
  var layout = ParameterLayout()
  layout.add("big", [300, 301], .matrix, depth: 1)
  layout.add("small", [33], .norm, depth: 1)
  func run(threads: Int, copyingAt copied: Int?) throws -> [UInt32] {
    var seeded = Seeded(5)
    var array = try TrainedArray("model", layout)
    fill(array.values, layout, seeded.floats(300 * 301 + 33))
    var adamW = try AdamW([array])
    for step in 0..<4 {
      if step == copied {
        let other = try TrainedArray("model", layout)
        let next = try AdamW([other])
        other.values.copy(from: array.values)
        for (mine, its) in zip(next.state, adamW.state) {
          #expect(mine.name == its.name)
          mine.array.copy(from: its.array)
        }
        next.steps = adamW.steps
        (array, adamW) = (other, next)
      }
      fill(array.gradients, layout, seeded.floats(300 * 301 + 33))
      try Crew(threads: threads).work { team in _ = try adamW.step(step, loss: 0, rate: 1e-3, team) }
    }
    return packed(array.values, layout).map(\.bitPattern)
  }
  let expected = try run(threads: 1, copyingAt: nil)
  for threads in 1...3 { #expect(try run(threads: threads, copyingAt: 2) == expected) }
}

@Test func aStepThatIsNotFiniteChangesNothing() throws {
  var layout = ParameterLayout()
  layout.add("weight", [3, 4], .matrix, depth: 1)
  layout.add("bias", [3], .bias, depth: 1)
  let array = try TrainedArray("model", layout)
  fill(array.values, layout, (0..<15).map(Float.init))
  let adamW = try AdamW([array])
  fill(array.gradients, layout, [Float](repeating: 0.5, count: 15))
  try adamW.step(0, loss: 1, rate: 0.1)
  let before = (packed(array.values, layout), adamW.state.map { Array($0.array.values) })
  #expect(throws: TrainingFailure.notFinite(step: 7, what: "the loss")) {
    try adamW.step(7, loss: .nan, rate: 0.1)
  }
  for fault in [Float.nan, .infinity, -.infinity] {
    array.gradients.values[17] = fault
    #expect(throws: TrainingFailure.notFinite(step: 8, what: "the gradient of bias")) {
      try adamW.step(8, loss: 1, rate: 0.1)
    }
  }
  array.gradients.values[17] = 1e30
  #expect(try adamW.step(9, loss: 1, rate: 0) > 9e29, "clipping makes it small")
  fill(array.values, layout, before.0)
  var unclipped = AdamW.Options()
  unclipped.largestNorm = nil
  let other = try AdamW([array], unclipped)
  #expect(throws: TrainingFailure.tooLarge(step: 3)) { try other.step(3, loss: 1, rate: 0.1) }
  #expect(other.steps == 0 && other.state.allSatisfy { $0.array.values.allSatisfy { $0 == 0 } })
  #expect(packed(array.values, layout) == before.0)
  #expect(
    "\(TrainingFailure.notFinite(step: 8, what: "the loss"))".hasPrefix("step 8: the loss is not a finite number"))
}

@Test func frozenTensorsStayAndDoNotCount() throws {
  var layout = ParameterLayout()
  layout.add("words", [2], .table, depth: 0)
  layout.add("one", [2], .matrix, depth: 1)
  layout.add("two", [2], .matrix, depth: 2)
  let array = try TrainedArray("model", layout)
  var options = AdamW.Options()
  options.rates = LearningRates(layerDecay: 0.5, firstTrainedDepth: 1)
  options.weightDecay = 0
  let adamW = try AdamW([array], options)
  fill(array.gradients, layout, [.nan, 100, 3, 0, 0, 4])
  #expect(try adamW.step(0, loss: 0, rate: 0.1) == 5)
  // The first step of Adam has the length of the rate, whatever the gradient.
  let values = packed(array.values, layout)
  #expect(values[0...1] == [0, 0])
  #expect(abs(values[2] + 0.05) < 1e-6 && abs(values[5] + 0.1) < 1e-6)
}

@Test func ratesFallByDepth() {
  var layout = ParameterLayout()
  for depth in 0...3 { layout.add("\(depth)", [1], .matrix, depth: depth) }
  let rates = LearningRates(layerDecay: 0.5, firstTrainedDepth: 2)
  #expect(layout.entries.map { rates.factor(of: $0, in: layout) } == [0, 0, 0.5, 1])
  #expect(layout.entries.map { LearningRates().factor(of: $0, in: layout) } == [1, 1, 1, 1])
  var flat = ParameterLayout()
  flat.add("temperature", [1], .bias)
  #expect(rates.factor(of: flat.entries[0], in: flat) == 1, "what has no layers is never frozen")
}

@Test func schedulesRiseAndFall() {
  let linear = Schedule(.linear, peak: 2, warmup: 4, steps: 12)
  #expect((0...12).map(linear.rate) == [0, 0.5, 1, 1.5, 2, 1.75, 1.5, 1.25, 1, 0.75, 0.5, 0.25, 0])
  #expect(linear.rate(at: 99) == 0)
  let cosine = Schedule(.cosine, peak: 2, warmup: 0, steps: 8)
  for (step, expected) in [(0, 2.0), (2, 1 + 0.5.squareRoot()), (4, 1), (6, 1 - 0.5.squareRoot()), (8, 0)] {
    #expect(abs(cosine.rate(at: step) - expected) < 1e-12)
  }
  let constant = Schedule(.constant, peak: 3, warmup: 2, steps: 5)
  #expect((0..<5).map(constant.rate) == [0, 1.5, 3, 3, 3])
  #expect(Schedule.warmup(share: 0.1, of: 101) == 11 && Schedule.warmup(share: 0, of: 9) == 0)
}
