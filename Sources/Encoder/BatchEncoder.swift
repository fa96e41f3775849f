import SimilarityCore

/// What a batcher drives: batches of inputs in, one vector for each out.
///
/// `Input` is what the encoder takes: token ids for a text encoder, pixels for an image encoder. A model that takes both has
/// one of these for each. Every call is a whole job, because calls across targets are not inlined.
public protocol BatchEncoder<Input>: Sendable {
  associatedtype Input: Sendable

  /// Values of a vector.
  var dimension: Int { get }

  /// SHA-256 over everything that decides a vector, as 64 hexadecimal digits: vectors of equal fingerprints compare.
  var fingerprint: String { get }

  /// What each input costs, in tokens that the forward pass works through. Batches are packed up to a sum of these.
  func costs(of inputs: [Input]) -> [Int]

  /// The vectors of a batch, one row for each input, not normalised.
  ///
  /// A row has the same bytes alone and in any batch. Memory grows with the cost of the batch.
  ///
  /// - Throws: ``EncodingFailure`` naming the input where one is to blame.
  func encode(_ batch: [Input]) throws(EncodingFailure) -> Matrix
}

/// Why a batch could not be encoded.
public enum EncodingFailure: Error, Sendable, Equatable {
  /// The input at this index is not one that the encoder takes: for texts, no tokens, too many, or one outside the vocabulary.
  case invalidInput(Int)
  /// The encoder produced a value that is not finite for the input at this index.
  case notFinite(Int)
  /// The matrix library failed; no input is to blame.
  case matrixLibrary
  /// There is not enough memory for this batch.
  case outOfMemory
}
