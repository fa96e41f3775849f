/// Which examples stand in which batch of an epoch.
///
/// A text that occurs twice in a batch would be its own negative. Therefore an example of which a text occurs already in the
/// batch is put off to the next batch that has none of its texts, as Sentence Transformers' NoDuplicatesBatchSampler does.
/// The batches of an epoch are a function of the set, the options and the number of the epoch.
package struct BatchOrder: Sendable {
  package struct Options: Sendable {
    /// The most examples of a batch, at least 2.
    package var batchSize: Int
    package var seed: UInt64 = 42
    /// Whether each epoch has an order of its own; otherwise each has the order of the set.
    package var shuffles = true
    /// Whether batches with fewer than ``batchSize`` examples are left out.
    package var dropsLast = false

    package init(batchSize: Int) { self.batchSize = batchSize }
  }

  package let options: Options
  private let set: TokenizedSet

  package init(_ set: TokenizedSet, _ options: Options) {
    precondition(options.batchSize >= 2, "a batch of \(options.batchSize)")
    self.set = set
    self.options = options
  }

  /// The batches of an epoch, counted from 0. What cannot be placed without repeating a text ends in smaller batches. Batches
  /// of fewer than 2 examples, which have nothing to compare, are left out.
  package func batches(epoch: Int) -> EpochBatches {
    var order: [Int32]
    if options.shuffles {
      var generator = SplitMix(seed: options.seed, stream: UInt64(truncatingIfNeeded: epoch))
      order = generator.permutation(set.count)
    } else {
      order = (0..<set.count).map { Int32(truncatingIfNeeded: $0) }
    }
    var placing = BatchPlacing(order, texts: set.differentTexts) { set.forEachText(of: Int($0), $1) }
    var batches = EpochBatches()
    let least = options.dropsLast ? options.batchSize : 2
    while let batch = placing.next(most: options.batchSize) { batches.append(batch, least: least) }
    return batches
  }
}

/// The batches of one epoch: the places of examples in the set.
package struct EpochBatches: RandomAccessCollection, Sendable, Equatable {
  private var examples: [Int32] = []
  private var ends: [Int] = []
  /// The number of examples that stand in no batch.
  package private(set) var leftOut = 0

  package var startIndex: Int { 0 }
  package var endIndex: Int { ends.count }

  package subscript(batch: Int) -> [Int] {
    examples[(batch == 0 ? 0 : ends[batch - 1])..<ends[batch]].map(Int.init)
  }

  fileprivate mutating func append(_ batch: [Int32], least: Int) {
    guard batch.count >= least else {
      leftOut += batch.count
      return
    }
    examples += batch
    ends.append(examples.count)
  }
}
