import SimilarityCore

/// An encoder as a batcher sees it: it turns a batch of inputs into one vector for each.
///
/// `Input` is what the encoder takes: token ids for a text encoder, pixels for an image encoder. A model that takes
/// both provides one of these for each. Every call is a whole job, because calls across targets are not inlined.
public protocol BatchEncoder<Input>: Sendable {
  associatedtype Input: Sendable

  /// The number of values of a vector.
  var dimension: Int { get }

  /// SHA-256 over everything that a vector depends on, as 64 hexadecimal digits. Vectors can be compared when their
  /// fingerprints are equal.
  var fingerprint: String { get }

  /// The tokens from which on a larger batch is not encoded faster, as far as that is known.
  var batchTokens: Int { get }

  /// The cost of each input, in tokens that the forward pass works through. Batches are filled up to a sum of costs.
  func costs(of inputs: [Input]) -> [Int]

  /// The vectors of a batch, [inputs, ``dimension``], not normalised.
  ///
  /// A row has the same bytes alone and in any batch. The memory that is needed grows with the cost of the batch.
  ///
  /// - Parameter crew: threads that may share the work, where the batch is the only one; nil for the calling thread alone.
  /// - Throws: ``EncodingFailure``, which names the input where one is at fault.
  func encode(_ batch: [Input], _ crew: Crew?) throws(EncodingFailure) -> Matrix
}

extension BatchEncoder {
  public var batchTokens: Int { BatchBudget.unmeasured }

  /// The vectors of a batch, computed by the calling thread alone.
  public func encode(_ batch: [Input]) throws(EncodingFailure) -> Matrix { try encode(batch, nil) }
}

/// Why a batch could not be encoded.
public enum EncodingFailure: Error, Sendable, Equatable {
  /// The encoder does not take the input at this index: for texts, it has no tokens, too many, or one that is not in
  /// the vocabulary.
  case invalidInput(Int)
  /// The encoder produced a value that is not finite for the input at this index.
  case notFinite(Int)
  /// There is not enough memory for this batch.
  case outOfMemory
}
