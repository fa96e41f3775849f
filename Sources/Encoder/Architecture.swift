import SimilarityCore

/// A text encoder without its pooling: it turns token ids into one hidden state for each token.
package protocol Architecture: Sendable {
  /// The number of values of a hidden state.
  var hiddenSize: Int { get }
  /// The number of token ids; all ids are below it.
  var vocabularySize: Int { get }
  /// The most tokens of a sequence.
  var longestSequence: Int { get }

  /// Runs the forward pass and calls `read` once with the last hidden states, [tokens, hiddenSize]: all sequences one
  /// after another, without padding. The pointer is valid during that call.
  ///
  /// - Parameters:
  ///   - sequences: token ids. No sequence is empty or longer than ``longestSequence``, and all ids are below
  ///     ``vocabularySize``.
  ///   - team: threads that share the pass; nil for the calling one alone. The results are the same.
  /// - Returns: what `read` returned.
  /// - Throws: ``EncodingFailure/outOfMemory``.
  func forward(
    _ sequences: [[Int32]], _ team: Team?, _ read: (UnsafePointer<Float>) -> Matrix
  ) throws(EncodingFailure) -> Matrix
}
