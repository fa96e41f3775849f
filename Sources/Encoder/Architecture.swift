import JSON
import Safetensors
import SimilarityCore

/// A family of text encoders: token ids in, one hidden state for each token out.
package protocol Architecture: Sendable {
  /// Values of a hidden state.
  var hiddenSize: Int { get }
  /// Token ids are below this.
  var vocabularySize: Int { get }
  /// Most tokens of a sequence.
  var longestSequence: Int { get }

  /// Runs the forward pass and calls `read` once with the last hidden states, [tokens, hiddenSize], the sequences packed one
  /// after another without padding. The pointer is valid during that call.
  ///
  /// - Parameter sequences: token ids, each sequence non-empty and no longer than ``longestSequence``, ids in the vocabulary.
  func forward(_ sequences: [[Int32]], _ read: (UnsafePointer<Float>) -> Matrix) throws(EncodingFailure) -> Matrix
}

/// The families that can be loaded, by `model_type` in `config.json`. A new family is a case here and a file of its own.
enum Family: String, CaseIterable {
  case bert

  /// A family with the settings that its part of config.json holds.
  enum Description {
    case bert(BERTConfiguration)

    var vocabularySize: Int {
      switch self {
      case .bert(let configuration): configuration.vocabularySize
      }
    }

    /// Most tokens of a sequence.
    var longestSequence: Int {
      switch self {
      case .bert(let configuration): configuration.maxPositions
      }
    }

    func load(_ archive: SafetensorsArchive, _ kernels: Kernels) throws(EncoderError) -> any Architecture {
      switch self {
      case .bert(let configuration): try BERT(configuration, archive, kernels)
      }
    }
  }

  /// Reads `config.json`.
  static func description(_ file: JSONField) throws(FieldError) -> Description {
    let type = try file.required("model_type")
    switch Family(rawValue: try type.string(oneOf: allCases.map(\.rawValue))) {
    case .bert, nil: return .bert(try BERTConfiguration(file))
    }
  }
}
