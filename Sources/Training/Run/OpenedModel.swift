import Encoder
import Tokenization

/// A model that is to be trained, and how it is written when it has been.
struct OpenedModel {
  let model: any TrainableModel
  let tokenizer: Tokenizer
  let tokenizing: TokenizingOptions
  /// Writes values in the model's layout to a folder.
  let write: (_ path: String, _ values: FloatArray) throws -> Void

  /// - Throws: ``RunError`` naming the folder, and what is wrong with it.
  init(_ plan: TrainingPlan) throws(RunError) {
    switch plan.source {
    case .transformer(let folder):
      let encoder: TrainableEncoder
      do throws(EncoderError) {
        encoder = try TrainableEncoder(folder: folder, maxSequenceLength: plan.longestText, dropout: plan.dropout)
      } catch {
        throw RunError("\(folder): \(error)")
      }
      self.init(encoder, folder, plan)
    }
  }

  private init(_ encoder: TrainableEncoder, _ folder: String, _ plan: TrainingPlan) {
    model = encoder.model
    tokenizer = encoder.tokenizer
    var options = TokenizingOptions(maximumLength: encoder.maxSequenceLength)
    options.queryPrompt = plan.queryPrompt ?? encoder.prompts.prompt(for: .query) ?? ""
    options.documentPrompt = plan.documentPrompt ?? encoder.prompts.prompt(for: .document) ?? ""
    options.poolsPrompt = encoder.poolsPrompt
    tokenizing = options
    var settings = ModelFolderWriter.Settings(width: encoder.model.dimension, maximumLength: encoder.maxSequenceLength)
    settings.poolings = encoder.poolings
    // Every loss compares directions, so that a folder that says nothing gets a Normalize as its last module.
    settings.normalizes = true
    write = { path, values in
      try ModelFolderWriter(source: folder).write(to: path, encoder.model.layout, values, settings)
    }
  }
}
