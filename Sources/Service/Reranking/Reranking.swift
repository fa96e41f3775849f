import Encoder
import SimilarityCore
import VectorStore

/// The neighbours of queries on their way through a cross-encoder.
struct Reranking: Sendable {
  /// A neighbour in the new order.
  struct Place: Sendable {
    /// Where it stood before.
    let index: Int
    /// How well its text goes with the query, between 0 and 1; nil for a point without a text.
    let score: Float?
  }

  private let queries: [String]
  /// The texts of the neighbours of each query; nil for a point without a text.
  private let texts: [[String?]]

  init(of neighbors: [ArraySlice<Neighbor>], for queries: [String]) {
    self.queries = queries
    texts = neighbors.map { $0.map { $0.point(withVector: false).text } }
  }

  /// Calls `finish` on a work queue with the new order of each query's neighbours. Points without a text stand behind all
  /// others, in the order that they had.
  ///
  /// - Throws: ``Problem`` when it would take too long.
  func run(
    _ scorer: PairScorer, for call: Call, finish: @escaping @Sendable ([[Place]]) throws -> Void
  ) throws(Problem) {
    var sequences: [TokenSequence] = []
    for (query, texts) in zip(queries, texts) {
      sequences += try scorer.sequences(
        of: query, with: texts.compactMap { $0 }, truncate: true, field: "inputs", for: call)
    }
    try scorer.score(sequences, for: call) { rows in
      var scores = rows.values[...]
      try finish(
        texts.map { texts in
          let places = texts.enumerated().map { index, text in
            Place(index: index, score: text == nil ? nil : scores.popFirst().map(PairScorer.sigmoid))
          }
          return places.sorted { ($0.score ?? -1, $1.index) > ($1.score ?? -1, $0.index) }
        })
    }
  }
}
