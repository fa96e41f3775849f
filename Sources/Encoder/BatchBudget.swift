import Platform
import SimilarityCore

/// How many tokens a batch needs before more of them make it no faster, measured on the loaded model.
///
/// Small batches end sooner, so that what arrives meanwhile waits less; but each batch reads all weights once and has
/// costs of its own. Which of the two matters more depends on the model, the precision and the caches of the processor.
package enum BatchBudget {
  /// The sizes that are tried: whole tiles of rows, from the smallest that keeps the products busy.
  package static let candidates = [192, 384, 768]
  /// What an encoder is taken to need where it has not been measured.
  package static let unmeasured = 512
  /// Where a token costs no more than the sum of two vectors, what a batch costs by itself matters more.
  private static let ofSums = 8192
  /// A size is good enough when it has this share of the best rate.
  private static let goodEnough = 0.97
  /// The tokens of one measured sequence: those of a sentence.
  private static let sequenceLength = 24
  /// Nothing more is measured after so long: a model for which this matters is slow enough for small batches.
  private static let mostNanoseconds: UInt64 = 150_000_000

  /// The smallest size that is good enough.
  ///
  /// - Throws: ``EncoderError/outOfMemory``.
  static func measure(_ architecture: any Architecture) throws(EncoderError) -> Int {
    if architecture.givesSums { return ofSums }
    let length = min(sequenceLength, architecture.longestSequence)
    let began = SystemClock.monotonic
    var rates: [Double] = []
    for size in candidates {
      let sequences = (0..<max(1, size / length)).map { index in
        TokenSequence(
          (0..<length).map { Int32(truncatingIfNeeded: (index * length + $0) * 7919 % architecture.vocabularySize) })
      }
      var best = UInt64.max
      // The first run also brings the weights and the memory for the batch into reach.
      for _ in 0..<2 {
        let start = SystemClock.monotonic
        do throws(EncodingFailure) {
          _ = try architecture.forward(sequences, nil) { _ in Matrix(rows: 0, columns: 0) { _ in } }
        } catch {
          throw .outOfMemory
        }
        best = min(best, SystemClock.monotonic &- start)
        if SystemClock.monotonic &- began > mostNanoseconds { break }
      }
      rates.append(Double(sequences.count * length) / Double(max(1, best)))
      if SystemClock.monotonic &- began > mostNanoseconds { break }
    }
    return smallest(of: rates)
  }

  /// The first candidate whose rate comes near the best of `rates`, which are those of the first candidates.
  package static func smallest(of rates: [Double]) -> Int {
    let best = rates.max() ?? 0
    return zip(candidates, rates).first { $0.1 >= goodEnough * best }?.0 ?? unmeasured
  }
}
