import Contrastive
import Encoder
import SimilarityCore

/// The texts of a batch as the objective wants them embedded.
struct BatchTexts {
  /// The number of queries.
  let queries: Int
  /// How many negatives there are for all queries together.
  let negatives: Int
  let labels: [Int]?
  /// Texts that the trained network embeds, and those that its following copy embeds.
  let online: [TokenSequence]
  let following: [TokenSequence]
  /// Their places in the batch: queries, then positives, then negatives.
  let onlinePlaces: Range<Int>
  let followingPlaces: Range<Int>
  /// All texts and their tokens.
  let count: Int
  let tokens: Int
  private let seed: UInt64?
  private let step: Int

  /// - Throws: `ContrastiveError` naming what does not fit the objective.
  init(_ batch: TokenBatch, _ options: StepOptions, step: Int) throws(ContrastiveError) {
    let objective = options.objective
    let all = batch.negatives.flatMap { $0 }
    guard !batch.queries.isEmpty else { throw ContrastiveError(field: "queries", reason: "the batch is empty") }
    guard batch.positives.count == batch.queries.count else {
      throw ContrastiveError(
        field: "positives", reason: "has \(batch.positives.count) texts for \(batch.queries.count) queries")
    }
    guard all.isEmpty || objective.options.contains(.negatives) else {
      throw ContrastiveError(field: "negatives", reason: "\(objective.rawValue) does not use them")
    }
    queries = batch.queries.count
    negatives = all.count
    labels = objective == .supcon ? batch.labels : nil
    let texts = batch.queries + batch.positives + all
    count = texts.count
    tokens = texts.reduce(0) { $0 + $1.count }
    switch objective {
    case .moco: (onlinePlaces, followingPlaces) = (0..<queries, queries..<count)
    case .byol: (onlinePlaces, followingPlaces) = (0..<count, 0..<count)
    default: (onlinePlaces, followingPlaces) = (0..<count, 0..<0)
    }
    online = Array(texts[onlinePlaces])
    following = Array(texts[followingPlaces])
    seed = options.usesDropout ? options.seed : nil
    self.step = step
  }

  /// The dropout of the texts at these places. A text's number has the step in its upper half and its place in the lower one, so
  /// that the two sides of one text, and a text met again in a later step, have different masks.
  func dropout(_ places: Range<Int>) -> Dropout? {
    seed.map { seed in
      Dropout(
        seed: seed, serials: places.map { UInt64(truncatingIfNeeded: step) << 32 | UInt64(truncatingIfNeeded: $0) })
    }
  }
}

extension TrainingStep {
  /// The loss of the vectors, and its derivatives by those of the trained network.
  ///
  /// - Parameters:
  ///   - rows: of ``BatchTexts/online``.
  ///   - following: of ``BatchTexts/following``; nil where nothing follows.
  func score(
    _ texts: BatchTexts, _ rows: Matrix, _ following: Matrix?, _ options: LossOptions
  ) throws -> (result: LossResult, rows: Matrix) {
    if let predictor {
      let (predictions, pass) = try predictor.forward(rows)
      // Each view's prediction is drawn to the other view, behind a stop-gradient: the mean of both directions (Chen & He 2020,
      // arXiv 2011.10566, equation 2; Grill et al. 2020, arXiv 2006.07733, section 3.1, have their sum for BYOL).
      let targets = following ?? rows
      let (n, width) = (texts.queries, rows.columns)
      let exchanged = Matrix(
        2 * n, width, Array(targets.values[(n * width)...]) + Array(targets.values[..<(n * width)]))
      let result = try ContrastiveLoss.evaluate(LossInput(queries: predictions, keys: exchanged), options)
      let gradients = try Self.gradients(of: result)
      return (result, try predictor.backward(pass, gradients.queries))
    }
    let n = texts.queries
    if let following, let queue {
      let negatives = texts.negatives == 0 ? nil : following.rows(n..<following.rows)
      let input = LossInput(
        queries: rows, keys: following.rows(0..<n), negatives: negatives.map { .shared($0) }, queue: queue.rows)
      let result = try ContrastiveLoss.evaluate(input, options)
      return (result, try Self.gradients(of: result).queries)
    }
    let negatives = texts.negatives == 0 ? nil : rows.rows(2 * n..<rows.rows)
    let input = LossInput(
      queries: rows.rows(0..<n), keys: rows.rows(n..<2 * n), negatives: negatives.map { .shared($0) },
      labels: texts.labels)
    let result = try ContrastiveLoss.evaluate(input, options)
    let gradients = try Self.gradients(of: result)
    var all = gradients.queries.values
    all += gradients.keys?.values ?? []
    all += gradients.negatives?.values ?? []
    return (result, Matrix(rows.rows, rows.columns, all))
  }

  private static func gradients(of result: LossResult) throws(ContrastiveError) -> LossGradients {
    guard let gradients = result.gradients else {
      throw ContrastiveError(field: "objective", reason: "gave no gradients")
    }
    return gradients
  }
}
