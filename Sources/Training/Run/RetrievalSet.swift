import Encoder
import SimilarityCore

/// Pairs of texts with which a model is evaluated: queries, and the documents among which each has to find its own.
package struct RetrievalSet: Sendable {
  /// The vectors of all queries and of all documents.
  package typealias Rows = (queries: Matrix, documents: Matrix)

  package let queries: [String]
  /// Positives and negatives, each different text once.
  package let documents: [String]
  /// For each query the place of its document.
  package let own: [Int]
  private let queryTokens: [TokenSequence]
  private let documentTokens: [TokenSequence]

  /// - Parameters:
  ///   - examples: of single texts, each text is a query and a document.
  ///   - most: the examples that are taken, from the first on; nil for all.
  package init(_ examples: ExampleSet, _ maker: SequenceMaker, most: Int? = nil) {
    var (queries, documents, own): ([String], [String], [Int]) = ([], [], [])
    var places: [String: Int] = [:]
    func place(of text: String) -> Int {
      if let known = places[text] { return known }
      places[text] = documents.count
      documents.append(text)
      return documents.count - 1
    }
    for index in 0..<min(examples.count, most ?? .max) {
      let example = examples[index]
      queries.append(example.query)
      own.append(place(of: example.positive ?? example.query))
      for text in example.negatives { _ = place(of: text) }
    }
    // Single texts are documents on both sides, as in training.
    let role = examples.isUnsupervised ? Prompts.Role.document : .query
    queryTokens = queries.map { maker.sequence($0, role) }
    documentTokens = documents.map { maker.sequence($0, .document) }
    (self.queries, self.documents, self.own) = (queries, documents, own)
  }

  /// The vectors of all texts.
  ///
  /// - Parameter embed: makes a row of each sequence.
  package func rows(_ embed: ([TokenSequence]) throws -> Matrix) rethrows -> Rows {
    (try embed(queryTokens), try embed(documentTokens))
  }

  /// The number of tokens of all texts.
  package var tokens: Int { (queryTokens + documentTokens).reduce(0) { $0 + $1.count } }
}
