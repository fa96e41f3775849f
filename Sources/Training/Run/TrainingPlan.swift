import Encoder
import SimilarityCore

/// What a training is to do, with everything that its result depends on.
package struct TrainingPlan: Sendable {
  package enum Source: Sendable, Equatable {
    /// The folder of a model with a transformer.
    case transformer(String)
    /// A table of random vectors, one for each token of the tokenizer in this folder.
    case table(tokenizer: String, dimension: Int?)
    /// A table made from what the encoder in this folder says about each token.
    case taughtTable(teacher: String, dimension: Int?)
  }

  package enum Data: Sendable, Equatable {
    /// A file of pairs.
    case pairs(String)
    /// A file of texts, each of which is its own positive under another dropout mask.
    case texts(String)

    var path: String {
      switch self {
      case .pairs(let path), .texts(let path): path
      }
    }
  }

  package var source: Source
  package var data: Data
  /// A file of held-out pairs; nil for no evaluation.
  package var heldOut: String?
  /// The folder of the run, which becomes that of the model.
  package var output: String
  package var step: StepOptions
  package var trainer = TrainerOptions()
  /// The most tokens of a text; nil for as many as the model takes.
  package var longestText: Int?
  /// The probability of dropout in place of the model's; nil for the model's.
  package var dropout: Float?
  /// Of the products of a transformer's layers: f32 or bf16. The parameters are f32.
  package var precision = Precision.f32
  /// The texts before queries and documents; nil for those of the model, where it has some.
  package var queryPrompt: String?
  package var documentPrompt: String?
  package var threads = 1
  /// Go on from the latest checkpoint, where there is one.
  package var resumes = false
  /// The settings as the user gave them, by name, which a run that goes on must have again. Those that change no result, such as
  /// the number of threads, are not among them.
  package var settings: [RunState.Option] = []

  package init(_ source: Source, _ data: Data, output: String, _ step: StepOptions) {
    (self.source, self.data, self.output, self.step) = (source, data, output, step)
  }
}
