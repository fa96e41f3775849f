import Platform
import SimilarityCore

/// How well queries find their own documents among all documents of a held-out set, and how the vectors lie on the sphere.
package struct Evaluation: Sendable, Equatable {
  /// The share of queries whose own document is the nearest of all.
  package var recallAt1: Double
  /// The share of queries whose own document is among the ten nearest.
  package var recallAt10: Double
  /// The mean over queries of 1 / rank of their own document (the mean reciprocal rank).
  package var meanReciprocalRank: Double
  /// The mean of ‖q − d‖² over pairs of unit vectors: 0 where each query lies on its document (Wang & Isola 2020, arXiv
  /// 2005.10242, with α = 2).
  package var alignment: Double
  /// log of the mean of exp(−2‖x − y‖²) over pairs of different rows, the mean of that of the queries and that of the
  /// documents, each over at most 2,048 evenly spaced rows: 0 where all vectors are the same, and the lower the more evenly
  /// they are spread (the same paper, with t = 2).
  package var uniformity: Double

  package init(
    recallAt1: Double, recallAt10: Double, meanReciprocalRank: Double, alignment: Double, uniformity: Double
  ) {
    self.recallAt1 = recallAt1
    self.recallAt10 = recallAt10
    self.meanReciprocalRank = meanReciprocalRank
    self.alignment = alignment
    self.uniformity = uniformity
  }
}

extension Evaluation {
  /// Scores every query against every document by cosine.
  ///
  /// A document that is as near as the query's own counts as nearer: vectors that have all become the same find nothing. The
  /// result is the same for any number of threads.
  ///
  /// - Parameters:
  ///   - queries: [queries, d], of any length.
  ///   - documents: [documents, d], no text twice.
  ///   - own: for each query the row of its document.
  /// - Throws: ``ProductFailure`` when the matrix library fails.
  package init(queries: Matrix, documents: Matrix, own: [Int], threads: Int) throws(ProductFailure) {
    precondition(own.count == queries.rows && queries.rows > 0, "\(own.count) documents of \(queries.rows) queries")
    precondition(own.allSatisfy { (0..<documents.rows).contains($0) }, "a document is not among \(documents.rows)")
    let (queries, documents) = (UnitRows(queries), UnitRows(documents))
    let loop = ParallelLoop(threads: threads)
    let ranks = try Self.ranks(queries, documents, own, loop)
    let count = Double(ranks.count)
    recallAt1 = Double(ranks.count { $0 == 1 }) / count
    recallAt10 = Double(ranks.count { $0 <= 10 }) / count
    meanReciprocalRank = ranks.reduce(0) { $0 + 1 / Double($1) } / count
    alignment = Self.alignment(queries, documents, own)
    uniformity = try (Self.uniformity(queries, loop) + Self.uniformity(documents, loop)) / 2
  }

  /// The values that a strip of cosines may have: 16 MiB for each thread.
  private static let stripValues = 1 << 22

  /// For each query one more than the number of other documents that are at least as near as its own.
  private static func ranks(
    _ queries: UnitRows, _ documents: UnitRows, _ own: [Int], _ loop: ParallelLoop
  ) throws(ProductFailure) -> [Int] {
    // The height depends on the matrices alone, so that a product has the same bytes for any number of threads.
    let height = max(1, min(64, stripValues / max(1, documents.count)))
    var ranks = [Int](repeating: 0, count: queries.count)
    try ranks.withUnsafeMutableBufferPointer { ranks throws(ProductFailure) in
      // SAFETY: each piece writes the ranks of its own queries.
      nonisolated(unsafe) let ranks = ranks
      try loop.forEachPiece((queries.count + height - 1) / height) { piece throws(ProductFailure) in
        let part = piece * height..<min(queries.count, (piece + 1) * height)
        let cosines = FloatBuffer(part.count * documents.count)
        try queries.cosines(of: part, with: documents, into: cosines)
        for query in part {
          let start = (query - part.lowerBound) * documents.count
          let row = cosines[start..<start + documents.count]
          let mine = row[own[query]]
          // The own document is counted as well, which makes the number a rank. A cosine that is not a number counts as near.
          ranks[query] = row.reduce(0) { $0 + ($1 < mine ? 0 : 1) }
        }
      }
    }
    return ranks
  }

  private static func alignment(_ queries: UnitRows, _ documents: UnitRows, _ own: [Int]) -> Double {
    var total = 0.0
    for (query, document) in own.enumerated() {
      total += zip(queries.matrix.row(query), documents.matrix.row(document)).reduce(0) { sum, pair in
        let difference = Double(pair.0) - Double(pair.1)
        return sum + difference * difference
      }
    }
    return total / Double(own.count)
  }

  /// The rows of a sample over which uniformity is taken, at most.
  private static let uniformityRows = 2048

  /// ‖x − y‖² of unit rows is 2 − 2·x·y. A single row has no pairs, and 0.
  private static func uniformity(_ rows: UnitRows, _ loop: ParallelLoop) throws(ProductFailure) -> Double {
    let sample = rows.sample(uniformityRows)
    let count = sample.count
    guard count > 1 else { return 0 }
    let height = 64
    var sums = [Double](repeating: 0, count: count)
    try sums.withUnsafeMutableBufferPointer { sums throws(ProductFailure) in
      // SAFETY: each piece writes the sums of its own rows.
      nonisolated(unsafe) let sums = sums
      try loop.forEachPiece((count + height - 1) / height) { piece throws(ProductFailure) in
        let part = piece * height..<min(count, (piece + 1) * height)
        let cosines = FloatBuffer(part.count * count)
        try sample.cosines(of: part, with: sample, into: cosines)
        for row in part {
          let start = (row - part.lowerBound) * count
          sums[row] = cosines[start + row + 1..<start + count].reduce(0) { $0 + exp(4 * (Double($1) - 1)) }
        }
      }
    }
    return log(sums.reduce(0, +) / (Double(count) * Double(count - 1) / 2))
  }
}
