import Contrastive
import Encoder
import SimilarityCore

/// One step of training: from a batch of tokens to the gradients of everything that is trained.
///
/// The gradients are the same bytes for any number of threads and any ``StepOptions/chunkTokens``.
package final class TrainingStep {
  package let options: StepOptions
  let model: any TrainableModel
  let crew: Crew
  /// The model's values: trained, or below adapters as they were loaded.
  private let values: FloatArray
  private let modelArray: TrainedArray?
  private let adapters: Adapters?
  let predictor: Predictor?
  private let scoring: ScoringParameters?
  /// A copy of the model that follows it slowly.
  let follower: FloatArray?
  let queue: KeyQueue?
  /// What the model learns from beside the batch itself.
  let teacher: TeacherRows?
  /// The keys of the batch, which the queue takes when the step is finished.
  private var newKeys: Matrix?

  /// Loads the model's values.
  ///
  /// - Parameter teacher: gives vectors of the model's dimension, which the texts' vectors are drawn to.
  /// - Throws: ``StepError`` where the options do not fit the model, ``EncoderError`` where it cannot be read, and
  ///   ``EncodingFailure/outOfMemory``.
  package init(model: any TrainableModel, options: StepOptions, crew: Crew, teacher: TeacherRows? = nil) throws {
    try options.check()
    guard teacher == nil || !options.isRegression && !options.hasFollower else {
      throw StepError.option("objective", "\(options.objective.rawValue) cannot be combined with a teacher")
    }
    guard teacher.map({ $0.dimension == model.dimension }) ?? true else {
      throw StepError.option("dimension", "is not that of the teacher's vectors")
    }
    self.teacher = teacher
    self.model = model
    self.options = options
    self.crew = crew
    if let rank = options.adapterRank {
      values = try FloatArray(model.layout.count)
      try model.load(into: values)
      modelArray = nil
      adapters = try Adapters(
        model.layout, base: values, rank: rank, alpha: options.adapterAlpha ?? Float(2 * rank),
        from: options.firstDepth, seed: options.seed, threads: crew.threads)
      guard adapters != nil else {
        throw StepError.option("adapterRank", "the model has no dense layers that adapters could stand beside")
      }
    } else {
      let array = try TrainedArray("model", model.layout)
      try model.load(into: array.values)
      (values, modelArray, adapters) = (array.values, array, nil)
    }
    let usual = options.objective == .simsiam ? max(1, model.dimension / 4) : 2 * model.dimension
    predictor =
      options.isRegression
      ? try Predictor(
        dimension: model.dimension, width: options.predictorWidth ?? usual, seed: options.seed, threads: crew.threads)
      : nil
    scoring = options.learnsTemperature ? try ScoringParameters(options) : nil
    follower = options.hasFollower ? try FloatArray(copying: values) : nil
    queue =
      options.objective == .moco ? try KeyQueue(capacity: options.queue, dimension: model.dimension) : nil
  }

  /// What the optimiser changes: the model or its adapters, then a predictor, then the parameters of the loss.
  package var trained: [TrainedArray] {
    [modelArray ?? adapters?.trained, predictor?.trained, scoring?.trained].compactMap { $0 }
  }

  /// What a checkpoint holds beside the values and the optimiser's moments. A step that goes on from a checkpoint reads the
  /// arrays anew.
  package var kept: [(name: String, array: FloatArray)] {
    [follower.map { ("follower", $0) }, queue.map { ("queue", $0.array) }].compactMap { $0 }
  }

  /// The model's values with the adapters as they are now.
  private func effectiveValues() throws(ProductFailure) -> FloatArray {
    guard let adapters else { return values }
    try adapters.merge()
    return adapters.effective
  }

  /// The model's values as a file should hold them, with adapters merged.
  ///
  /// - Throws: `ProductFailure` when the matrix library fails.
  package func valuesToSave() throws -> FloatArray { try effectiveValues() }

  /// The vectors of sequences without dropout, [sequences, dimension], not normalised.
  ///
  /// - Throws: ``EncodingFailure``, and `ProductFailure` when the matrix library fails.
  package func embed(_ sequences: [TokenSequence]) throws -> Matrix { try embed(sequences, by: try effectiveValues()) }

  /// As ``embed(_:)``, by these values of the model, such as those of an earlier step.
  package func embed(_ sequences: [TokenSequence], by values: FloatArray) throws(EncodingFailure) -> Matrix {
    try GradientCache(model, sequences, dropout: nil, chunkTokens: 0).forward(values, keeps: false, crew)
  }

  /// Computes the loss of a batch, and writes its gradients to the arrays of ``trained``.
  ///
  /// - Parameter step: the number of the step, from which dropout follows.
  /// - Throws: `ContrastiveError` where the batch does not fit the objective or a loss is not finite; ``EncodingFailure`` with
  ///   the place of the text in the batch: queries, then positives, then negatives; `ProductFailure`.
  package func gradients(of batch: TokenBatch, step: Int) throws -> StepResult {
    let texts = try BatchTexts(batch, options, step: step)
    let values = try effectiveValues()
    let target = adapters?.gradients ?? modelArray?.gradients
    for array in trained { array.gradients.clear() }
    adapters?.gradients.clear()
    newKeys = nil

    let online = GradientCache(
      model, texts.online, dropout: texts.dropout(texts.onlinePlaces), chunkTokens: options.chunkTokens)
    let rows = try online.forward(values, keeps: true, crew)
    var following: Matrix?
    if let follower {
      following = try GradientCache(
        model, texts.following, dropout: texts.dropout(texts.followingPlaces), chunkTokens: 0
      ).forward(follower, keeps: false, crew)
    }

    var loss = LossOptions(options.objective, temperature: options.temperature)
    loss.bias = options.bias
    loss.wantsGradients = true
    loss.wantsDiagnostics = true
    loss.threads = crew.threads
    scoring?.apply(to: &loss)
    let outcome = try teacher.map { try score(texts, rows, $0, loss) } ?? score(texts, rows, following, loss)
    if let gradients = outcome.result.gradients { scoring?.setGradients(gradients, temperature: loss.temperature) }
    if queue != nil { newKeys = following?.rows(0..<texts.queries).unitRows() }

    if let target {
      try online.backward(
        outcome.rows, values, from: adapters == nil ? options.firstDepth : max(1, options.firstDepth), into: target,
        crew)
    }
    try adapters?.pullBack()
    return StepResult(
      loss: outcome.result.loss, accuracy: outcome.result.diagnostics?.accuracyTop1,
      temperature: options.isRegression ? nil : loss.temperature, texts: texts.count, tokens: texts.tokens)
  }

  /// Does what follows the optimiser's change: limits τ, draws the following copy on, and appends the keys to the queue.
  ///
  /// - Throws: `ProductFailure` when the matrix library fails.
  package func finish(step: Int) throws {
    scoring?.clamp()
    if let follower {
      Kernels.active.follow(
        target: follower.start, source: try effectiveValues().start, count: follower.count, momentum: options.momentum)
    }
    if let newKeys { queue?.append(newKeys) }
    newKeys = nil
  }
}

extension StepOptions {
  /// - Throws: ``StepError``.
  func check() throws(StepError) {
    func require(_ name: String, _ isFine: Bool, _ reason: String) throws(StepError) {
      guard isFine else { throw .option(name, reason) }
    }
    try require(
      "temperature", temperature > 0 && temperature.isFinite && (1 / temperature).isFinite, "must be a positive number")
    try require("bias", bias.isFinite, "must be a number")
    try require("momentum", (0...1).contains(momentum), "must be from 0 to 1")
    try require("queue", (1...KeyQueue.largest).contains(queue), "must be from 1 to \(KeyQueue.largest)")
    try require("predictorWidth", (1...1 << 16).contains(predictorWidth ?? 1), "must be from 1 to 65536")
    try require("adapterRank", (1...1024).contains(adapterRank ?? 1), "must be from 1 to 1024")
    try require("adapterAlpha", adapterAlpha.map { $0 > 0 && $0.isFinite } ?? true, "must be a positive number")
    try require("firstDepth", firstDepth >= 0, "must not be negative")
    try require("teacherWeight", (0...1).contains(teacherWeight), "must be from 0 to 1")
    try require(
      "teacherTemperature", teacherTemperature > 0 && teacherTemperature.isFinite && (1 / teacherTemperature).isFinite,
      "must be a positive number")
    try require(
      "learnsTemperature", !learnsTemperature || objective.options.contains(.temperature),
      "\(objective.rawValue) has no temperature")
  }
}
