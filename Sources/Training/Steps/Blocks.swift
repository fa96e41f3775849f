/// The parts of a batch that go through the model one after another.
///
/// They depend on the batch alone, and not on how much of it is kept in memory: so the sums over blocks, and with them the
/// gradients, are the same bytes whatever the memory.
package struct Blocks: Sendable, Equatable {
  /// The number of tokens from which on a block ends. Larger ones are not faster: their products fill two cores already.
  package static let tokens = 1024

  /// Consecutive sequences of the batch, with all of them in the whole.
  package let ranges: [Range<Int>]

  /// - Parameters:
  ///   - lengths: the tokens of each sequence.
  ///   - most: the number of tokens from which on a block ends.
  package init(lengths: [Int], tokens most: Int = Blocks.tokens) {
    var ranges: [Range<Int>] = []
    var (start, tokens) = (0, 0)
    for (index, length) in lengths.enumerated() {
      tokens += length
      guard tokens >= most else { continue }
      ranges.append(start..<index + 1)
      (start, tokens) = (index + 1, 0)
    }
    if start < lengths.count { ranges.append(start..<lengths.count) }
    self.ranges = ranges
  }
}
