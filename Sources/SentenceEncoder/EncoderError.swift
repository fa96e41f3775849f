/// Why a model folder cannot be used. `key` is the file, and where there is one the key in it, that is at fault.
public struct EncoderError: Error, Sendable, Equatable, CustomStringConvertible {
  public let key: String
  public let message: String

  public init(key: String, message: String) {
    self.key = key
    self.message = message
  }

  public var description: String { "\(key): \(message)" }
}

/// Why a batch could not be encoded.
public enum EncodingFailure: Error, Sendable, Equatable {
  /// Token ids of this sequence are outside the vocabulary, or there are none, or too many.
  case invalidSequence(Int)
  /// The encoder produced a value that is not finite for this sequence.
  case notFinite(Int)
  /// The matrix library failed.
  case productFailed
}
