import JSON
import Tokenization

/// What the folder of a transformer says, before its weights are read: the tokenizer, and the description of the model.
struct TransformerFolder {
  let tokenizer: Tokenizer
  let description: TransformerDescription

  /// - Parameter limits: the most tokens of a sequence, beside the number of positions; nil for no limit.
  /// - Throws: ``EncoderError``, which names the file and the key that is missing, malformed or not supported.
  init(_ folder: ModelFolder, limits: [Int?]) throws(EncoderError) {
    var description: TransformerDescription
    do throws(FieldError) {
      let configuration = try folder.requiredJSON("config.json")
      description = try Family.description(configuration)
      tokenizer = try Tokenizer(folder)
      guard tokenizer.vocabularySize <= description.vocabularySize else {
        throw configuration.refused(
          "vocab_size",
          "\(description.vocabularySize) is smaller than the tokenizer's \(tokenizer.vocabularySize)")
      }
      guard description.longestSequence >= 2 else {
        throw configuration.refused(
          "max_position_embeddings", "\(description.longestSequence) leaves no room for text")
      }
    } catch {
      throw EncoderError(error)
    }
    for limit in limits {
      if let limit { description.longestSequence = min(description.longestSequence, max(2, limit)) }
    }
    self.description = description
  }
}
