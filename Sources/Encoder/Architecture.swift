import SimilarityCore

/// A text encoder without its pooling: it turns tokens into one hidden state for each of them.
package protocol Architecture: Sendable {
  /// The number of values of a hidden state.
  var hiddenSize: Int { get }
  /// The number of token ids; all ids are below it.
  var vocabularySize: Int { get }
  /// The most tokens of a sequence.
  var longestSequence: Int { get }
  /// The number of token types; types are below it. With one type, the types of sequences are not read.
  var tokenTypes: Int { get }
  /// Whether there is one state for each sequence instead of one for each token. Such sequences may be empty.
  var givesSums: Bool { get }

  /// Runs the forward pass and calls `read` once with the last hidden states, [tokens, hiddenSize]: all sequences one
  /// after another, without padding. The pointer is valid during that call.
  ///
  /// - Parameters:
  ///   - sequences: tokens. No sequence is empty or longer than ``longestSequence``, all ids are below
  ///     ``vocabularySize`` and all types below ``tokenTypes``, where there are several.
  ///   - team: threads that share the pass; nil for the calling one alone. The results are the same.
  /// - Returns: what `read` returned.
  /// - Throws: ``EncodingFailure/outOfMemory``.
  func forward(
    _ sequences: [TokenSequence], _ team: Team?, _ read: (UnsafePointer<Float>) -> Matrix
  ) throws(EncodingFailure) -> Matrix
}

extension Architecture {
  package var tokenTypes: Int { 1 }
  package var givesSums: Bool { false }

  /// The number of hidden states of a sequence.
  func states(of sequence: TokenSequence) -> Int { givesSums ? 1 : sequence.count }

  /// Checks what clients may have sent: lengths, ids and types.
  ///
  /// - Throws: ``EncodingFailure/invalidInput(_:)``.
  func check(_ sequences: [TokenSequence]) throws(EncodingFailure) {
    for (index, sequence) in sequences.enumerated() {
      guard givesSums || sequence.count > 0, sequence.count <= longestSequence,
        sequence.ids.allSatisfy({ $0 >= 0 && Int($0) < vocabularySize })
      else { throw .invalidInput(index) }
      guard tokenTypes > 1, !sequence.types.isEmpty else { continue }
      guard sequence.types.count == sequence.count, sequence.types.allSatisfy({ $0 >= 0 && Int($0) < tokenTypes })
      else { throw .invalidInput(index) }
    }
  }
}
