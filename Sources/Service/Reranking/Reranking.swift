import Encoder
import SimilarityCore
import VectorStore

/// The neighbours of queries on their way through a cross-encoder.
struct Reranking: Sendable {
  /// A neighbour in the new order.
  struct Place: Sendable {
    /// Where it stood before.
    let index: Int
    /// The model's value for its text; nil for a point that was not read.
    let value: Float?
    /// How well its text goes with the query, between 0 and 1.
    var score: Float? { value.map(PairScorer.sigmoid) }
  }

  private let queries: [String]
  /// The texts of the nearest neighbours of each query; nil for a point without a text.
  private let texts: [[String?]]
  /// How many neighbours each query has.
  private let counts: [Int]

  /// - Parameter top: how many of each query's neighbours are read; the others keep their order behind these.
  init(of neighbors: [ArraySlice<Neighbor>], top: Int, for queries: [String]) {
    self.queries = queries
    texts = neighbors.map { $0.prefix(top).map { $0.point(withVector: false).text } }
    counts = neighbors.map(\.count)
  }

  /// Calls `finish` on a work queue with the new order of each query's neighbours. Points without a text stand behind all
  /// others that are read, in the order that they had.
  ///
  /// - Throws: ``Problem`` when it would take too long.
  func run(
    _ scorer: PairScorer, for call: Call, finish: @escaping @Sendable ([[Place]]) throws -> Void
  ) throws(Problem) {
    let bytes = zip(queries, texts).flatMap { query, texts in
      texts.compactMap { $0.map { query.utf8.count + $0.utf8.count } }
    }
    try scorer.admit(bytes: bytes, for: call)
    var sequences: [TokenSequence] = []
    for (query, texts) in zip(queries, texts) {
      try call.requireWaiting()
      sequences += try scorer.sequences(
        of: query, with: texts.compactMap { $0 }, truncate: true, entryNames(of: "inputs"), for: call)
    }
    try scorer.score(sequences, for: call) { rows in
      var scores = rows.values[...]
      try finish(
        zip(texts, counts).map { texts, count in
          let places = texts.enumerated().map { index, text in
            Place(index: index, value: text == nil ? nil : scores.popFirst())
          }
          let sorted = places.sorted {
            ($0.value ?? -.infinity, $1.index) > ($1.value ?? -.infinity, $0.index)
          }
          return sorted + (texts.count..<count).map { Place(index: $0, value: nil) }
        })
    }
  }
}
