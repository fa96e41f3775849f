import Contrastive
import SimilarityCore
import TestSupport
import Testing

/// A random batch with its options.
struct LossCase: Sendable, CustomTestStringConvertible {
  var objective: Objective
  var rows = 6
  /// The number of keys; nil for as many as there are queries.
  var keys: Int?
  var dimension = 8
  var shared = 0
  var paired = 0
  var queue: Int?
  var temperature: Float = 0.1
  var normalize = true
  var inBatch = true
  var bias: Float = -10
  /// The number of classes (`supcon`). The last row is the only one with its label.
  var classes = 3
  var hasSecondView = true
  var threads = 1

  init(_ objective: Objective, _ change: (inout LossCase) -> Void = { _ in }) {
    self.objective = objective
    change(&self)
  }

  var testDescription: String {
    var text = "\(objective.rawValue) \(rows)×\(dimension) τ \(temperature)"
    if let keys { text += " keys \(keys)" }
    if shared > 0 { text += " shared \(shared)" }
    if paired > 0 { text += " paired \(paired)" }
    if let queue { text += " queue \(queue)" }
    if !normalize { text += " dot" }
    if !inBatch { text += " own only" }
    if !hasSecondView { text += " one view" }
    return text
  }

  var input: LossInput {
    var random = Seeded(UInt64(rows &* 1009 &+ dimension &* 31 &+ shared &+ paired))
    let queries = random.matrix(rows, dimension)
    var input = LossInput(queries: queries)
    if objective != .supcon || hasSecondView {
      // Keys are correlated with their queries, so that the softmax is neither flat nor a single peak.
      let noise = random.matrix(keys ?? rows, dimension)
      input.keys = Matrix(rows: keys ?? rows, columns: dimension) { out in
        for index in out.indices {
          out[index] = noise.values[index] + (index < queries.values.count ? 0.5 * queries.values[index] : 0)
        }
      }
    }
    if shared > 0 { input.negatives = .shared(random.matrix(shared, dimension)) }
    if paired > 0 { input.negatives = .paired(random.matrix(paired * rows, dimension), perQuery: paired) }
    if let queue { input.queue = random.matrix(queue, dimension) }
    if let keys { input.positives = (0..<rows).map { ($0 * 7 + 3) % keys } }
    if objective == .supcon { input.labels = (0..<rows).map { $0 == rows - 1 ? 99 : $0 * $0 % classes } }
    return input
  }

  var options: LossOptions {
    var options = LossOptions(objective, temperature: temperature)
    options.normalize = normalize
    options.inBatchNegatives = inBatch
    options.bias = bias
    options.threads = threads
    return options
  }

  /// The number of candidates in a row's softmax, as the interface defines it.
  var candidates: Int {
    let count = (keys ?? rows)
    switch objective {
    case .infonce, .moco, .dcl:
      let own = inBatch && objective != .moco ? count : 1
      return own + shared + paired + (queue ?? 0) - (objective == .dcl ? 1 : 0)
    case .ntXent: return 2 * rows - 1
    case .supcon: return (hasSecondView ? 2 * rows : rows) - 1
    case .symmetric, .sigmoid: return rows
    case .simsiam, .byol: return 1
    }
  }
}

extension LossCase {
  /// Every objective and option, in small batches and in large ones whose sizes cover all edges of the tiles, since the
  /// core treats these separately.
  static let all: [LossCase] = oneWay + twoWay + [.simsiam, .byol].flatMap(regression)

  private static let oneWay: [LossCase] =
    [Objective.infonce, .dcl].flatMap { objective in
      [
        LossCase(objective),
        LossCase(objective) { $0.temperature = 0.01 },
        LossCase(objective) { $0.normalize = false },
        LossCase(objective) { $0.keys = 11 },
        LossCase(objective) { $0.shared = 5 },
        LossCase(objective) { $0.paired = 3 },
        LossCase(objective) { $0.queue = 7 },
        LossCase(objective) { ($0.shared, $0.inBatch) = (5, false) },
        LossCase(objective) { ($0.paired, $0.inBatch, $0.normalize) = (3, false, false) },
        LossCase(objective) { ($0.keys, $0.paired, $0.queue) = (9, 2, 4) },
        LossCase(objective) { ($0.keys, $0.inBatch, $0.queue) = (9, false, 4) },
        LossCase(objective) { ($0.rows, $0.dimension) = (70, 5) },
        LossCase(objective) { ($0.rows, $0.dimension, $0.temperature) = (64, 33, 0.02) },
        LossCase(objective) { ($0.rows, $0.dimension, $0.normalize) = (130, 33, false) },
        LossCase(objective) { ($0.rows, $0.dimension, $0.temperature) = (100, 384, 0.05) },
        LossCase(objective) { ($0.rows, $0.keys, $0.dimension) = (70, 600, 33) },
        LossCase(objective) { ($0.rows, $0.shared, $0.dimension) = (66, 530, 5) },
        LossCase(objective) { ($0.rows, $0.paired, $0.dimension) = (70, 3, 33) },
        LossCase(objective) { ($0.rows, $0.paired, $0.dimension, $0.inBatch) = (70, 520, 5, false) },
        LossCase(objective) { ($0.rows, $0.keys, $0.paired, $0.queue, $0.dimension) = (80, 90, 2, 520, 5) },
        LossCase(objective) { ($0.rows, $0.dimension, $0.threads) = (260, 5, 2) },
      ]
    } + [
      LossCase(.infonce) { $0.rows = 1 },
      LossCase(.infonce) { ($0.rows, $0.paired, $0.inBatch) = (1, 4, false) },
      LossCase(.infonce) { $0.inBatch = false },
      LossCase(.infonce) { ($0.rows, $0.inBatch) = (70, false) },
      LossCase(.dcl) { ($0.rows, $0.keys) = (1, 3) },
      LossCase(.moco) { $0.queue = 9 },
      LossCase(.moco) { ($0.queue, $0.normalize) = (9, false) },
      LossCase(.moco) { ($0.queue, $0.shared, $0.keys) = (4, 3, 8) },
      LossCase(.moco) { ($0.queue, $0.paired) = (4, 3) },
      LossCase(.moco) { ($0.queue, $0.rows) = (4, 1) },
      LossCase(.moco) { ($0.queue, $0.rows, $0.dimension, $0.temperature) = (530, 70, 33, 0.07) },
    ]

  private static let twoWay: [LossCase] =
    [Objective.symmetric, .ntXent, .supcon, .sigmoid].flatMap { objective in
      [
        LossCase(objective),
        LossCase(objective) { $0.temperature = 0.01 },
        LossCase(objective) { $0.normalize = false },
        LossCase(objective) { ($0.rows, $0.dimension) = (31, 5) },
        LossCase(objective) { ($0.rows, $0.dimension) = (40, 5) },
        LossCase(objective) { ($0.rows, $0.dimension) = (70, 33) },
        LossCase(objective) { ($0.rows, $0.dimension, $0.temperature) = (64, 5, 0.02) },
        LossCase(objective) { ($0.rows, $0.dimension, $0.normalize) = (130, 5, false) },
        LossCase(objective) { ($0.rows, $0.dimension, $0.temperature) = (70, 384, 0.05) },
        LossCase(objective) { ($0.rows, $0.dimension, $0.threads) = (290, 5, 2) },
      ]
    } + [
      LossCase(.symmetric) { $0.rows = 1 },
      LossCase(.ntXent) { $0.rows = 1 },
      LossCase(.sigmoid) { $0.rows = 1 },
      LossCase(.sigmoid) { $0.bias = 0.5 },
      LossCase(.sigmoid) { ($0.bias, $0.rows, $0.temperature) = (2, 70, 1) },
      LossCase(.supcon) { $0.hasSecondView = false },
      LossCase(.supcon) { ($0.hasSecondView, $0.normalize, $0.classes) = (false, false, 2) },
      LossCase(.supcon) { ($0.hasSecondView, $0.rows, $0.classes) = (false, 70, 30) },
      LossCase(.supcon) { ($0.hasSecondView, $0.rows, $0.dimension) = (false, 530, 5) },
      LossCase(.supcon) { ($0.rows, $0.classes) = (1, 1) },
    ]

  private static func regression(_ objective: Objective) -> [LossCase] {
    [
      LossCase(objective),
      LossCase(objective) { $0.normalize = false },
      LossCase(objective) { $0.rows = 1 },
      LossCase(objective) { ($0.rows, $0.dimension) = (70, 33) },
      LossCase(objective) { ($0.rows, $0.dimension, $0.threads) = (300, 5, 2) },
    ]
  }
}
