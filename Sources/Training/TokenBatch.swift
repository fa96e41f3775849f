import Encoder

/// One batch of training examples as tokens.
package struct TokenBatch: Sendable {
  package var queries: [TokenSequence]
  /// As many as there are queries; for unsupervised training the same texts once more.
  package var positives: [TokenSequence]
  /// Texts that are known not to belong to the query, for each query; empty where there are none.
  package var negatives: [[TokenSequence]]
  /// The class of each query; nil where examples have none.
  package var labels: [Int]?

  package init(
    queries: [TokenSequence], positives: [TokenSequence], negatives: [[TokenSequence]] = [], labels: [Int]? = nil
  ) {
    self.queries = queries
    self.positives = positives
    self.negatives = negatives
    self.labels = labels
  }
}
