import JSON
import SimilarityCore
import Tokenization

/// A model that reads a text, or two together, and gives a number for each label: a reranker reads a query and a
/// document, and its only label says how well the two go together.
public struct CrossEncoder: BatchEncoder {
  /// The names of the labels (`id2label`).
  public let labels: [String]
  public let fingerprint: String
  /// The last part of the folder's path.
  public let name: String
  private let model: LoadedModel
  private let head: ClassificationHead

  /// The most tokens of a sequence, including the special ones.
  public var maxSequenceLength: Int { model.maxSequenceLength }
  /// The precision of the products, why it was chosen, and how near the pooled states come to those of f32.
  public var precision: PrecisionChoice { model.precision }
  public var batchTokens: Int { model.batchTokens }
  /// The number of labels.
  public var dimension: Int { labels.count }

  /// Loads the model from a folder in the Hugging Face layout.
  ///
  /// - Throws: ``EncoderError``, which names the file and the key that is missing, malformed or not supported.
  public init(folder path: String, _ options: LoadingOptions = LoadingOptions()) throws(EncoderError) {
    let folder = ModelFolder(path: path)
    let file: JSONField
    let longest: Int?
    do throws(FieldError) {
      file = try folder.requiredJSON("config.json")
      longest = try SentenceModules.longest(folder)
    } catch {
      throw EncoderError(error)
    }
    let kernels = options.kernels
    let head = try ClassificationHead(file, try Checkpoint(folder), width: Self.width(file), kernels)
    model = try LoadedModel(transformer: folder, longest: longest, options) { sequences, states, width in
      [Pooling.mean].rows(of: sequences, states, width: width, kernels)
    }
    self.head = head
    labels = head.labels
    name = path.split(separator: "/").last.map(String.init) ?? path
    fingerprint = try model.fingerprint(settings: "labels \(model.maxSequenceLength)")
    model.checkpoint.releasePages()
  }

  private static func width(_ file: JSONField) throws(EncoderError) -> Int {
    do throws(FieldError) {
      return try Family.description(file).hiddenSize
    } catch {
      throw EncoderError(error)
    }
  }

  /// The ids of a text that is read together with several others.
  public func ids(of text: String) -> [Int32] { model.tokenizer.ids(of: text) }

  /// The tokens of two texts that are read together; nil where they are too long and may not be cut. The longer text is
  /// cut off first.
  ///
  /// - Parameter first: the ids of the first text.
  public func sequence(of first: [Int32], _ second: String, truncate: Bool) -> TokenSequence? {
    let (ids, types, isCut) = model.tokenizer.encode(first, with: second, maxLength: maxSequenceLength)
    return truncate || !isCut ? TokenSequence(ids, types: types) : nil
  }

  /// The tokens of a text; nil where it is too long and may not be cut.
  public func sequence(of text: String, truncate: Bool) -> TokenSequence? {
    let (ids, types, isCut) = model.tokenizer.encode(typed: text, maxLength: maxSequenceLength)
    return truncate || !isCut ? TokenSequence(ids, types: types) : nil
  }

  /// The number of tokens of each sequence.
  public func costs(of sequences: [TokenSequence]) -> [Int] { sequences.map(\.count) }

  /// The values of each label, [sequences, labels], as the model gives them (logits).
  public func encode(_ sequences: [TokenSequence], _ crew: Crew?) throws(EncodingFailure) -> Matrix {
    try model.run(sequences, crew) { head.logits(sequences, $0) }
  }
}
