import Contrastive
import Platform
import SimilarityCore

/// A matrix of f64 values.
struct Rows {
  var count: Int
  let width: Int
  var values: [Double]

  init(_ matrix: Matrix) {
    count = matrix.rows
    width = matrix.columns
    values = matrix.values.map(Double.init)
  }

  func unit() -> Rows {
    var result = self
    for row in 0..<count {
      let norm = values[row * width..<(row + 1) * width].reduce(0) { $0 + $1 * $1 }.squareRoot()
      for index in row * width..<(row + 1) * width { result.values[index] /= norm }
    }
    return result
  }

  /// The inner product of a row with a row of `other`.
  func dot(_ row: Int, _ other: Rows, _ otherRow: Int) -> Double {
    values.withUnsafeBufferPointer { a in
      other.values.withUnsafeBufferPointer { b in
        var sum = 0.0
        for index in 0..<width { sum += a[row * width + index] * b[otherRow * width + index] }
        return sum
      }
    }
  }

  mutating func append(_ other: Rows) {
    count += other.count
    values += other.values
  }
}

/// Every objective in f64, written as it is defined: all similarities of a row are computed before its loss.
struct Reference {
  let objective: Objective
  let normalize: Bool
  let inBatch: Bool
  var queries: Rows
  var keys: Rows?
  var negatives: Rows?
  /// The number of negatives of each query; nil when all queries share the negatives.
  var negativesPerQuery: Int?
  let positives: [Int]?
  let labels: [Int]?
  let queue: Rows?
  var temperature: Double
  var bias: Double

  init(_ input: LossInput, _ options: LossOptions) {
    objective = options.objective
    normalize = options.normalize
    inBatch = options.inBatchNegatives && options.objective != .moco
    queries = Rows(input.queries)
    keys = input.keys.map(Rows.init)
    switch input.negatives {
    case .shared(let matrix): negatives = Rows(matrix)
    case .paired(let matrix, let perQuery):
      negatives = Rows(matrix)
      negativesPerQuery = perQuery
    case nil: break
    }
    positives = input.positives
    labels = input.labels
    queue = input.queue.map(Rows.init)
    temperature = Double(options.temperature)
    bias = Double(options.bias)
  }

  /// A row's similarities, not yet divided by τ: with its positive, and with the other candidates of its loss.
  struct Similarities {
    var positive = 0.0
    /// The similarities with the other candidates, without the positive.
    var others: [Double] = []
    /// The index of the key for each of `others`; nil for negatives and rows of the queue.
    var columns: [Int?] = []
    /// Indices into `others` of further positives (`supcon`).
    var partners: [Int] = []
  }

  private func hat(_ rows: Rows) -> Rows { normalize ? rows.unit() : rows }

  /// The similarities of each row that has a loss. Where there are two views, the rows of the second follow those of
  /// the first.
  func similarities() -> [Similarities] {
    switch objective {
    case .infonce, .moco, .dcl: oneWay()
    case .ntXent, .supcon: views()
    case .symmetric, .sigmoid, .simsiam, .byol: square(hat(queries), hat(keys ?? queries))
    }
  }

  private func oneWay() -> [Similarities] {
    let q = hat(queries)
    let k = hat(keys ?? queries)
    let n = negatives.map(hat)
    let old = queue.map(hat)
    return (0..<q.count).map { row in
      let positive = positives?[row] ?? row
      var found = Similarities(positive: q.dot(row, k, positive))
      func add(_ similarity: Double, _ column: Int?) {
        found.others.append(similarity)
        found.columns.append(column)
      }
      if inBatch {
        for key in 0..<k.count where key != positive { add(q.dot(row, k, key), key) }
      }
      if let n {
        let range = negativesPerQuery.map { row * $0..<(row + 1) * $0 } ?? 0..<n.count
        for index in range { add(q.dot(row, n, index), nil) }
      }
      if let old {
        for index in 0..<old.count { add(q.dot(row, old, index), nil) }
      }
      return found
    }
  }

  private func views() -> [Similarities] {
    var x = hat(queries)
    if let keys { x.append(hat(keys)) }
    let half = queries.count
    let classes = labels.map { keys == nil ? $0 : $0 + $0 }
    return (0..<x.count).map { row in
      var found = Similarities()
      for other in 0..<x.count where other != row {
        let similarity = x.dot(row, x, other)
        if let classes {
          if classes[other] == classes[row] { found.partners.append(found.others.count) }
        } else if other == (row + half) % (2 * half) {
          found.positive = similarity
          continue
        }
        found.others.append(similarity)
        found.columns.append(other)
      }
      return found
    }
  }

  func square(_ q: Rows, _ k: Rows) -> [Similarities] {
    (0..<q.count).map { row in
      let columns = (0..<k.count).filter { $0 != row }
      return Similarities(
        positive: q.dot(row, k, row), others: columns.map { q.dot(row, k, $0) }, columns: columns)
    }
  }

  func logSum(_ logits: [Double]) -> Double {
    let top = logits.max() ?? 0
    return top + log(logits.reduce(0) { $0 + exp($1 - top) })
  }

  /// log(1 + exp x)
  private func softplus(_ x: Double) -> Double { max(x, 0) + log1p(exp(-abs(x))) }

  private func crossEntropy(_ row: Similarities) -> Double {
    let candidates = objective == .dcl ? row.others : [row.positive] + row.others
    return logSum(candidates.map { $0 / temperature }) - row.positive / temperature
  }

  /// The loss of each row; nil for a row without a partner.
  func perRow() -> [Double?] {
    let rows = similarities()
    switch objective {
    case .infonce, .moco, .dcl, .ntXent: return rows.map(crossEntropy)
    case .symmetric:
      let columns = square(hat(keys ?? queries), hat(queries))
      return zip(rows, columns).map { (crossEntropy($0) + crossEntropy($1)) / 2 }
    case .supcon:
      return rows.map { row in
        guard !row.partners.isEmpty else { return nil }
        let logits = row.others.map { $0 / temperature }
        let sum = logSum(logits)
        return row.partners.reduce(0) { $0 + sum - logits[$1] } / Double(row.partners.count)
      }
    case .sigmoid:
      return rows.map { row in
        row.others.reduce(softplus(-(row.positive / temperature + bias))) {
          $0 + softplus($1 / temperature + bias)
        }
      }
    case .simsiam: return rows.map { -$0.positive }
    case .byol: return rows.map { 2 - 2 * $0.positive }
    }
  }

  func loss() -> Double {
    let counted = perRow().compactMap(\.self)
    return counted.reduce(0, +) / Double(counted.count)
  }
}

/// The largest deviation of results from their reference, as a multiple of the tolerance. At most 1 is accepted.
struct Deviation: CustomStringConvertible {
  private(set) var worst = 0.0
  private(set) var place = "nothing compared"
  let tolerance: Double

  /// The tolerance is 1e-5 + 1e-6/τ, relative for values above 1 and absolute below.
  init(temperature: Float) {
    tolerance = 1e-5 + 1e-6 / Double(temperature)
  }

  mutating func compare(_ found: Double, _ wanted: Double, _ name: @autoclosure () -> String) {
    let ratio = abs(found - wanted) / (tolerance * max(1, abs(wanted)))
    // The comparison is negated so that NaN counts as a deviation.
    guard !(ratio <= worst) || place == "nothing compared" else { return }
    worst = ratio.isNaN ? .infinity : ratio
    place = "\(name()): \(found), wanted \(wanted)"
  }

  var description: String { "\(worst) times the tolerance at \(place)" }
}
