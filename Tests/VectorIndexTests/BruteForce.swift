import SimilarityCore
import VectorIndex

/// Exact search as the specification defines it: every vector is scored in f64, and ties are ordered by slot.
struct BruteForce {
  let metric: Metric
  let dimension: Int
  var vectors: [Int: [Float]] = [:]

  init(_ metric: Metric, _ dimension: Int) {
    self.metric = metric
    self.dimension = dimension
  }

  mutating func add(_ rows: [Float], at slots: [Int]) {
    for (index, slot) in slots.enumerated() { vectors[slot] = Array(rows[index * dimension..<(index + 1) * dimension]) }
  }

  func score(_ query: [Float], _ vector: [Float]) -> Double {
    let kernels = Kernels.active
    return query.withUnsafeBufferPointer { q in
      vector.withUnsafeBufferPointer { v in
        switch metric {
        case .cosine:
          min(1, max(-1, kernels.dot(q, v) / (kernels.dot(q, q) * kernels.dot(v, v)).squareRoot()))
        case .dot: kernels.dot(q, v)
        case .euclidean: 0 - kernels.squaredDistance(q, v).squareRoot()
        }
      }
    }
  }

  func nearest(_ query: [Float], _ k: Int, where matches: (Int) -> Bool = { _ in true }) -> [Candidate] {
    var all = vectors.filter { matches($0.key) }.map { Candidate(position: $0.key, score: score(query, $0.value)) }
    all.sort { $0.score != $1.score ? $0.score > $1.score : $0.position < $1.position }
    return Array(all.prefix(k))
  }
}
