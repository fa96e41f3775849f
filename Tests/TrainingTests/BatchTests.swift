import Encoder
import Foundation
import TestSupport
import Testing
import Tokenization
import Training

/// The tokenizer of a tiny model, with a vocabulary of some words.
func tinyTokenizer() throws -> Tokenizer {
  try Tokenizer(
    Tokenization.ModelFolder(path: "\(TestSupport.ModelFolder.repository)/Tests/EncoderTests/Families/bert"))
}

private func tokenized(
  _ examples: [TrainingExample], threads: Int = 2, _ change: (inout TokenizingOptions) -> Void = { _ in }
) throws -> TokenizedSet {
  var options = TokenizingOptions(maximumLength: 16)
  change(&options)
  return try TokenizedSet(ExampleSet(examples), try tinyTokenizer(), options, threads: threads)
}

@Suite struct TokenizedSetTests {
  private let examples = [
    TrainingExample(query: "red cat", positive: "wet river", negatives: ["the hill"], label: "x"),
    TrainingExample(query: "old door", positive: "red cat", label: "y"),
  ]

  @Test func batchesHaveTheTokensOfTheirTexts() throws {
    let set = try tokenized(examples)
    let batch = set.batch([1, 0])
    #expect(batch.queries == [TokenSequence([2, 19, 10, 3]), TokenSequence([2, 20, 8, 3])])
    #expect(batch.positives == [TokenSequence([2, 20, 8, 3]), TokenSequence([2, 27, 21, 3])])
    #expect(batch.negatives == [[], [TokenSequence([2, 23, 14, 3])]])
    #expect(batch.labels == [1, 0])
    #expect((0..<2).map(set.tokens) == [12, 8])
  }

  @Test func promptsStandBeforeTheTextsOfTheirSide() throws {
    let set = try tokenized(examples) {
      ($0.queryPrompt, $0.documentPrompt, $0.poolsPrompt) = ("by ", "in this ", false)
    }
    let batch = set.batch([0])
    #expect(batch.queries == [TokenSequence([2, 7, 20, 8, 3], unpooled: 2)])
    #expect(batch.positives == [TokenSequence([2, 15, 24, 27, 21, 3], unpooled: 3)])
    #expect(batch.negatives == [[TokenSequence([2, 15, 24, 23, 14, 3], unpooled: 3)]])
    #expect(set.batch([1]).positives == [TokenSequence([2, 15, 24, 20, 8, 3], unpooled: 3)])
    let pooled = try tokenized(examples) { $0.queryPrompt = "by " }
    #expect(pooled.batch([0]).queries == [TokenSequence([2, 7, 20, 8, 3])])
    #expect(pooled.batch([1]).positives == [TokenSequence([2, 20, 8, 3])])
  }

  @Test func textsAreCutAndMayStandWithoutSpecialTokens() throws {
    let long = [TrainingExample(query: "a red cat sees the river", positive: "a cat")]
    #expect(try tokenized(long) { $0.maximumLength = 5 }.batch([0]).queries == [TokenSequence([2, 5, 20, 8, 3])])
    let bare = try tokenized(long) { ($0.maximumLength, $0.isFramed) = (4, false) }
    #expect(bare.batch([0]).queries == [TokenSequence([5, 20, 8, 22])])
    #expect(bare.batch([0]).positives == [TokenSequence([5, 8])])
  }

  @Test func singleTextsAreTheirOwnPositives() throws {
    let set = try tokenized([TrainingExample(query: "red cat", positive: nil)]) {
      ($0.queryPrompt, $0.documentPrompt) = ("by ", "in ")
    }
    let batch = set.batch([0])
    #expect(batch.queries == [TokenSequence([2, 15, 20, 8, 3])] && batch.positives == batch.queries)
    #expect(batch.negatives.isEmpty && batch.labels == nil && set.tokens(of: 0) == 10)
  }

  /// More texts than a round of tokenising takes.
  @Test func theNumberOfThreadsMakesNoDifference() throws {
    let words = ["red", "old", "wet", "green", "cat", "river", "hill", "wind", "day", "door"]
    let many = (0..<35_000).map { index in
      let digits = String(index).compactMap(\.wholeNumberValue).map { words[$0] }.joined(separator: " ")
      return TrainingExample(query: digits, positive: "the \(digits)")
    }
    let (one, three) = (try tokenized(many, threads: 1), try tokenized(many, threads: 3))
    for place in stride(from: 0, to: many.count, by: 997) + [many.count - 1] {
      let (batch, other) = (one.batch([place]), three.batch([place]))
      #expect(batch.queries == other.queries && batch.positives == other.positives)
      #expect(batch.positives[0].ids == [2, 23] + batch.queries[0].ids.dropFirst())
    }
    // green, cat, door, door, door
    #expect(one.batch([34_999]).queries[0].ids == [2, 13, 8, 10, 10, 10, 3])
  }

  @Test func aTextWithoutTokensIsNamed() throws {
    let examples = [
      TrainingExample(query: "red", positive: "cat"), TrainingExample(query: "old", positive: "\u{200B}\u{200B}"),
    ]
    #expect(throws: DataError("the examples", line: 2, "the tokenizer leaves nothing of the positive")) {
      try tokenized(examples) { $0.isFramed = false }
    }
  }
}

@Suite struct BatchOrderTests {
  /// Pairs whose texts are numbers, with no text twice.
  private func distinct(_ count: Int) -> [TrainingExample] {
    (0..<count).map { TrainingExample(query: "q\($0)", positive: "p\($0)") }
  }

  private func order(
    _ examples: [TrainingExample], size: Int, _ change: (inout BatchOrder.Options) -> Void = { _ in }
  ) throws -> BatchOrder {
    var options = BatchOrder.Options(batchSize: size)
    change(&options)
    return BatchOrder(try tokenized(examples), options)
  }

  @Test func withoutShufflingItIsTheOrderOfTheFile() throws {
    let batches = try order(distinct(8), size: 3) { $0.shuffles = false }.batches(epoch: 5)
    #expect(Array(batches) == [[0, 1, 2], [3, 4, 5], [6, 7]] && batches.leftOut == 0)
    let seven = try order(distinct(7), size: 3) { $0.shuffles = false }.batches(epoch: 0)
    #expect(Array(seven) == [[0, 1, 2], [3, 4, 5]] && seven.leftOut == 1)
    let whole = try order(distinct(8), size: 3) { ($0.shuffles, $0.dropsLast) = (false, true) }.batches(epoch: 0)
    #expect(Array(whole) == [[0, 1, 2], [3, 4, 5]] && whole.leftOut == 2)
  }

  @Test func anEpochIsAFunctionOfSeedAndNumber() throws {
    let order = try order(distinct(100), size: 10)
    let first = order.batches(epoch: 0)
    #expect(first.flatMap { $0 }.sorted() == Array(0..<100) && first.count == 10)
    #expect(order.batches(epoch: 0) == first)
    #expect(order.batches(epoch: 1) != first)
    #expect(try self.order(distinct(100), size: 10) { $0.seed = 43 }.batches(epoch: 0) != first)
    // The order of a seed is fixed for all times: a run that is continued by a later version sees the same batches.
    #expect(first[0] == [57, 80, 20, 24, 3, 83, 10, 88, 48, 18])
  }

  @Test func permutationsAreEven() throws {
    let order = try order(distinct(4), size: 4)
    var counts: [[Int]: Int] = [:]
    for epoch in 0..<4800 { counts[order.batches(epoch: epoch)[0], default: 0] += 1 }
    #expect(counts.count == 24)
    // 200 of each are expected, with a standard deviation below 14.
    #expect(counts.values.allSatisfy { abs($0 - 200) < 70 })
  }

  @Test func anExampleWithATextOfTheBatchIsPutOff() throws {
    let examples = [
      TrainingExample(query: "a", positive: "b"), TrainingExample(query: "b", positive: "c"),
      TrainingExample(query: "a", positive: "d"), TrainingExample(query: "e", positive: "f"),
      TrainingExample(query: "g", positive: "h", negatives: ["a"]), TrainingExample(query: "i", positive: "i"),
    ]
    let batches = try order(examples, size: 3) { $0.shuffles = false }.batches(epoch: 0)
    // 1 has b and 2 has a of example 0; 4 has a of example 2.
    #expect(Array(batches) == [[0, 3, 5], [1, 2]] && batches.leftOut == 1)
  }

  /// The rule as it is told, in quadratic time.
  private func plain(_ texts: [Set<String>], _ size: Int) -> [[Int]] {
    var (waiting, batches): ([Int], [[Int]]) = (Array(texts.indices), [])
    while !waiting.isEmpty {
      var (batch, rest, seen): ([Int], [Int], Set<String>) = ([], [], [])
      for index in waiting {
        if batch.count < size, seen.isDisjoint(with: texts[index]) {
          batch.append(index)
          seen.formUnion(texts[index])
        } else {
          rest.append(index)
        }
      }
      batches.append(batch)
      waiting = rest
    }
    return batches
  }

  @Test(arguments: [3, 8, 30, 200]) func placesAsThePlainRuleDoes(different: Int) throws {
    var generator = Seeded(UInt64(different))
    for round in 0..<20 {
      let size = Int.random(in: 2...12, using: &generator)
      let examples = (0..<150).map { _ in
        // Some texts are much more frequent than others.
        let texts = (0..<3).map { _ in
          "t\(Int(Double(different) * pow(Double.random(in: 0..<1, using: &generator), 2)))"
        }
        return TrainingExample(query: texts[0], positive: texts[1], negatives: round % 2 == 0 ? [texts[2]] : [])
      }
      let expected = plain(examples.map { Set([$0.query, $0.positive ?? ""] + $0.negatives) }, size)
      let batches = try order(examples, size: size) { $0.shuffles = false }.batches(epoch: 0)
      #expect(Array(batches) == expected.filter { $0.count >= 2 })
      #expect(batches.leftOut == expected.filter { $0.count < 2 }.count)
    }
  }

  /// Everything waits behind one text: a scan of all that waits for each batch would take minutes.
  @Test(.timeLimit(.minutes(1))) func oneTextInAllExamplesTakesLinearTime() throws {
    let examples = (0..<100_000).map { TrainingExample(query: "same", positive: "r\($0)") } + distinct(100_000)
    let batches = try order(examples, size: 2) { $0.shuffles = false }.batches(epoch: 0)
    // Each batch takes one of either kind; of the last of the second kind none is left over.
    #expect(batches.count == 100_000 && batches.leftOut == 0)
    #expect(batches[99_999] == [99_999, 199_999])
  }
}
