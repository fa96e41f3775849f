import Encoder
import Tokenization

/// A model that is to be trained, and how it is written when it has been.
struct OpenedModel {
  let model: any TrainableModel
  let tokenizer: Tokenizer
  let tokenizing: TokenizingOptions
  /// What the model learns from, beside the examples; nil for nothing.
  let teacher: TeacherRows?
  /// Writes values in the model's layout to a folder.
  let write: (_ path: String, _ values: FloatArray) throws -> Void

  /// - Throws: ``RunError`` naming the folder, and what is wrong with it; ``StepError`` for an option that does not fit the model;
  ///   what embedding the vocabulary by a teacher throws.
  init(_ plan: TrainingPlan) throws {
    let dropout = plan.dropout ?? 0
    switch plan.source {
    case .transformer(let folder):
      let encoder = try Self.open(folder) {
        try TrainableEncoder(
          folder: folder, maxSequenceLength: plan.longestText, dropout: plan.dropout, precision: plan.precision)
      }
      self.init(encoder, folder, plan)
    case .table(let folder, let dimension):
      let table = try Self.open(folder) {
        try StaticModel(
          tokenizerOf: folder, dimension: dimension ?? StaticModel.usualDimension, dropout: dropout,
          seed: plan.step.seed)
      }
      self.init(table, plan)
    case .taughtTable(let folder, let dimension):
      let table = try Self.open(folder) {
        try StaticModel(teacher: folder, dimension: dimension, dropout: dropout, threads: plan.threads)
      }
      self.init(table, plan)
    }
  }

  private static func open<Opened>(_ folder: String, _ open: () throws -> Opened) throws -> Opened {
    do {
      return try open()
    } catch let error as EncoderError {
      throw RunError("\(folder): \(error)")
    }
  }

  /// The prompts that the training is given, under the names that the model has for them or those that Sentence Transformers looks
  /// for, so that the trained model puts them before texts by itself.
  private static func prompts(_ plan: TrainingPlan, _ own: Prompts) -> [String: String] {
    var prompts: [String: String] = [:]
    for (role, prompt) in [(Prompts.Role.query, plan.queryPrompt), (.document, plan.documentPrompt)] {
      if let prompt { prompts[own.name(for: role) ?? role.rawValue] = prompt }
    }
    return prompts
  }

  private init(_ table: StaticModel, _ plan: TrainingPlan) {
    (model, tokenizer, teacher) = (table.model, table.tokenizer, table.teacher)
    var options = table.tokenizing
    options.maximumLength = min(options.maximumLength, plan.longestText ?? .max)
    (options.queryPrompt, options.documentPrompt) = (plan.queryPrompt ?? "", plan.documentPrompt ?? "")
    tokenizing = options
    let prompts = Self.prompts(plan, Prompts())
    write = { path, values in try table.write(to: path, values, prompts: prompts) }
  }

  private init(_ encoder: TrainableEncoder, _ folder: String, _ plan: TrainingPlan) {
    (model, tokenizer, teacher) = (encoder.model, encoder.tokenizer, nil)
    var options = TokenizingOptions(maximumLength: encoder.maxSequenceLength)
    options.queryPrompt = plan.queryPrompt ?? encoder.prompts.prompt(for: .query) ?? ""
    options.documentPrompt = plan.documentPrompt ?? encoder.prompts.prompt(for: .document) ?? ""
    options.poolsPrompt = encoder.poolsPrompt
    tokenizing = options
    var settings = ModelFolderWriter.Settings(width: encoder.model.dimension, maximumLength: encoder.maxSequenceLength)
    settings.poolings = encoder.poolings
    // Every loss compares directions, so that a folder that says nothing gets a Normalize as its last module.
    settings.normalizes = true
    settings.prompts = Self.prompts(plan, encoder.prompts)
    write = { path, values in
      try ModelFolderWriter(source: folder).write(to: path, encoder.model.layout, values, settings)
    }
  }
}
