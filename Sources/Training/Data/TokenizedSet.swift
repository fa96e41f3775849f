import Encoder
import SimilarityCore
import Tokenization

/// How the texts of a training set become tokens.
package struct TokenizingOptions: Sendable {
  /// The most tokens of a text, with the special ones around it; the rest is cut off, at the end that the tokenizer says.
  package var maximumLength: Int
  /// Put before every query.
  package var queryPrompt = ""
  /// Put before every positive and every negative, and before the texts of unsupervised training.
  package var documentPrompt = ""
  /// Whether the tokens of a prompt are pooled (`include_prompt`).
  package var poolsPrompt = true
  /// Whether the special tokens stand around a text. A table of vectors without a transformer takes none.
  package var isFramed = true

  package init(maximumLength: Int) { self.maximumLength = maximumLength }
}

/// A training set as tokens. Each different text is tokenised once, and takes 4 bytes for each token and 8 more.
package struct TokenizedSet: Sendable {
  /// The tokens of the texts of one side, in the order of their numbers.
  fileprivate struct Side: Sendable {
    var ids: [Int32] = []
    /// The type of each token; empty where the tokenizer has one type only.
    var types: [Int32] = []
    /// One past the last token of each text; a text that does not occur on this side has no tokens.
    var ends: [Int] = []
    /// The number of leading tokens that are not pooled.
    var unpooled = 0

    func range(_ text: Int32) -> Range<Int> {
      let number = Int(text)
      return (number == 0 ? 0 : ends[number - 1])..<ends[number]
    }

    func sequence(_ text: Int32) -> TokenSequence {
      let range = range(text)
      return TokenSequence(
        Array(ids[range]), types: types.isEmpty ? [] : Array(types[range]), unpooled: min(unpooled, range.count))
    }
  }

  private let examples: ExampleSet
  private let queries: Side
  /// nil where both sides have the same prompt, so that ``queries`` has all texts.
  private let documents: Side?

  /// Tokenises all texts. The result does not depend on the number of threads.
  ///
  /// - Throws: ``DataError`` naming the line of a text of which the tokenizer leaves no tokens.
  package init(
    _ examples: ExampleSet, _ tokenizer: Tokenizer, _ options: TokenizingOptions, threads: Int
  ) throws(DataError) {
    let texts = examples.texts
    differentTexts = texts.count
    var (asked, answered) = ([Bool](repeating: false, count: texts.count), [Bool](repeating: false, count: texts.count))
    let hasOnePrompt = options.queryPrompt == options.documentPrompt
    for index in 0..<examples.count {
      if examples.isUnsupervised {
        answered[Int(examples.queries[index])] = true
        continue
      }
      asked[Int(examples.queries[index])] = true
      answered[Int(examples.positives[index])] = true
      for text in examples.negatives(of: index) { answered[Int(text)] = true }
    }
    if hasOnePrompt {
      for index in asked.indices where answered[index] { asked[index] = true }
    }
    let maker = SequenceMaker(tokenizer, options)
    let loop = ParallelLoop(threads: threads)
    queries = Self.side(texts, asked, maker, hasOnePrompt ? .document : .query, loop)
    documents = hasOnePrompt ? nil : Self.side(texts, answered, maker, .document, loop)
    self.examples = examples.withoutTexts
    try checkTokens()
  }

  package var count: Int { examples.count }
  /// Whether examples are single texts, whose batches have the same texts as queries and as positives.
  package var isUnsupervised: Bool { examples.isUnsupervised }
  package var hasNegatives: Bool { examples.hasNegatives }
  package var hasLabels: Bool { !examples.labels.isEmpty }
  /// The number of different texts.
  package let differentTexts: Int

  /// The examples at these places, as one batch.
  package func batch(_ places: some Sequence<Int>) -> TokenBatch {
    let documents = documents ?? queries
    let asked = examples.isUnsupervised ? documents : queries
    var batch = TokenBatch(queries: [], positives: [], labels: hasLabels ? [] : nil)
    for place in places {
      batch.queries.append(asked.sequence(examples.queries[place]))
      batch.positives.append(documents.sequence(positive(of: place)))
      if hasNegatives { batch.negatives.append(examples.negatives(of: place).map { documents.sequence($0) }) }
      if hasLabels { batch.labels?.append(Int(examples.labels[place])) }
    }
    return batch
  }

  /// Calls `body` with the number of each text of an example. Equal texts have equal numbers, whatever side they are on.
  func forEachText(of example: Int, _ body: (Int32) -> Void) {
    body(examples.queries[example])
    if !examples.isUnsupervised { body(examples.positives[example]) }
    for text in examples.negatives(of: example) { body(text) }
  }

  /// The number of tokens of all texts of an example; the text of unsupervised training counts twice.
  package func tokens(of example: Int) -> Int {
    let documents = documents ?? queries
    let asked = examples.isUnsupervised ? documents : queries
    return asked.range(examples.queries[example]).count + documents.range(positive(of: example)).count
      + examples.negatives(of: example).reduce(0) { $0 + documents.range($1).count }
  }

  private func positive(of example: Int) -> Int32 {
    examples.isUnsupervised ? examples.queries[example] : examples.positives[example]
  }

  private func checkTokens() throws(DataError) {
    let documents = documents ?? queries
    for place in 0..<count {
      func check(_ role: String, _ length: Int) throws(DataError) {
        guard length > 0 else {
          throw DataError(examples.file, line: examples.line(of: place), "the tokenizer leaves nothing of \(role)")
        }
      }
      if examples.isUnsupervised {
        try check("the text", documents.range(examples.queries[place]).count)
        continue
      }
      try check("the query", queries.range(examples.queries[place]).count)
      try check("the positive", documents.range(examples.positives[place]).count)
      for (index, text) in examples.negatives(of: place).enumerated() {
        try check("negative \(index + 1)", documents.range(text).count)
      }
    }
  }

  /// Tokenises the texts that are wanted, in rounds, so that the separate sequences of a round are few beside the whole.
  private static func side(
    _ texts: TextTable, _ wanted: [Bool], _ maker: SequenceMaker, _ role: Prompts.Role, _ loop: ParallelLoop
  ) -> Side {
    let (pieceSize, roundSize) = (256, 1 << 16)
    var side = Side()
    side.unpooled = maker.unpooled(role)
    side.ends.reserveCapacity(texts.count)
    for start in stride(from: 0, to: texts.count, by: roundSize) {
      let round = start..<min(texts.count, start + roundSize)
      var found = [TokenSequence?](repeating: nil, count: round.count)
      found.withUnsafeMutableBufferPointer { found in
        // SAFETY: each piece writes to places of its own.
        nonisolated(unsafe) let found = found
        loop.forEachPiece((round.count + pieceSize - 1) / pieceSize) { piece in
          for index in piece * pieceSize..<min(round.count, (piece + 1) * pieceSize) where wanted[start + index] {
            found[index] = maker.sequence(texts[start + index], role)
          }
        }
      }
      for sequence in found {
        if let sequence { side.append(sequence, hasTypes: maker.hasTypes) }
        side.ends.append(side.ids.count)
      }
    }
    return side
  }
}

extension TokenizedSet.Side {
  fileprivate mutating func append(_ sequence: TokenSequence, hasTypes: Bool) {
    ids += sequence.ids
    guard hasTypes else { return }
    types += sequence.types.isEmpty ? [Int32](repeating: 0, count: sequence.count) : sequence.types
  }
}
