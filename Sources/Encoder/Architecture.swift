import JSON
import Safetensors
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

/// The families of encoders that can be loaded, by `model_type` in `config.json`. A new family is a new case here, and
/// a file of its own.
enum Family: String, CaseIterable {
  case bert

  /// A family, with its settings from config.json.
  enum Description {
    case bert(BERTConfiguration)

    var vocabularySize: Int {
      switch self {
      case .bert(let configuration): configuration.vocabularySize
      }
    }

    /// The most tokens of a sequence.
    var longestSequence: Int {
      switch self {
      case .bert(let configuration): configuration.maxPositions
      }
    }

    func load(
      _ archive: SafetensorsArchive, _ precision: Precision, _ kernels: Kernels, threads: Int
    ) throws(EncoderError) -> any Architecture {
      switch self {
      case .bert(let configuration): try BERT(configuration, archive, precision, kernels, threads: threads)
      }
    }
  }

  /// Reads `config.json`.
  ///
  /// - Throws: ``FieldError`` naming the key that is missing, malformed or not supported.
  static func description(_ file: JSONField) throws(FieldError) -> Description {
    let type = try file.required("model_type")
    switch Family(rawValue: try type.string(oneOf: allCases.map(\.rawValue))) {
    case .bert, nil: return .bert(try BERTConfiguration(file))
    }
  }
}
