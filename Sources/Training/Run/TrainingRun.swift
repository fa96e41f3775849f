import Encoder
import Platform
import SimilarityCore

/// A training from its files to its files: data, model and checkpoints in, metrics, model and report out.
package struct TrainingRun {
  /// What happens, for who watches.
  package enum Event: Sendable {
    /// What is being done, or has been found, in words.
    case note(String)
    case trainer(Trainer.Event)
  }

  /// How a run ended.
  package enum Outcome: Sendable, Equatable {
    /// The model has been written.
    case finished
    /// It was asked to stop behind this step.
    case interrupted(step: Int)
    /// The folder has the model of this training already.
    case nothingToDo
  }

  private static let beforeName = "before.json"
  /// The pairs of the training set that a report shows where none are held out.
  private static let sampledExamples = 1000

  private let plan: TrainingPlan
  private let watch: (Event) -> Void
  private let isAskedToStop: () -> Bool

  /// - Parameters:
  ///   - watch: is called on the calling thread.
  ///   - isAskedToStop: is called behind each step.
  package init(_ plan: TrainingPlan, watch: @escaping (Event) -> Void, isAskedToStop: @escaping () -> Bool) {
    (self.plan, self.watch, self.isAskedToStop) = (plan, watch, isAskedToStop)
  }

  /// Trains.
  ///
  /// - Throws: an error whose description is for the user: ``RunError``, ``DataError`` naming the line, ``CheckpointError`` naming
  ///   the file or the option, ``TrainingFailure`` naming the step, ``StepError`` naming the option.
  package func run() throws -> Outcome {
    guard try OutputFolder.check(plan.output, resumes: plan.resumes) else {
      try RunCheckpoints.removeLeftovers(plan.output)
      return .nothingToDo
    }
    let examples = try self.examples()
    let heldOut = try plan.heldOut.map { path in try ExampleSet(pairs: path) }
    let opened = try OpenedModel(plan)
    let options = plan.settings + (try digests())
    let checkpoints = try RunCheckpoints(plan.output, options, resumes: plan.resumes) { watch(.note($0)) }
    // An option that differs is told before minutes are spent on tokens.
    if plan.resumes { _ = try checkpoints.newest() }

    let crew = Crew(threads: plan.threads)
    let maker = SequenceMaker(opened.tokenizer, opened.tokenizing)
    let sample = RetrievalSet(
      heldOut ?? examples, maker, opened.tokenizing, most: heldOut == nil ? Self.sampledExamples : nil)
    let set = try TokenizedSet(examples, opened.tokenizer, opened.tokenizing, threads: plan.threads)
    let training = try TrainingStep(model: opened.model, options: plan.step, crew: crew)
    let before = try viewBefore(training, sample)
    let trainer = try Trainer(
      training, set, heldOut: heldOut == nil ? nil : sample, plan.trainer, crew: crew, checkpoints: checkpoints,
      metrics: { try MetricsFile(in: plan.output, goingOnFrom: $0) }, watch: { watch(.trainer($0)) },
      isAskedToStop: isAskedToStop)
    describe(trainer, set, sample, isEvaluated: heldOut != nil)

    let outcome = try trainer.run()
    if outcome == .interrupted { return .interrupted(step: trainer.step) }
    try write(trainer, opened, checkpoints, sample, before, isHeldOut: heldOut != nil, outcome)
    return .finished
  }

  private func examples() throws(DataError) -> ExampleSet {
    switch plan.data {
    case .pairs(let path): try ExampleSet(pairs: path)
    case .texts(let path): try ExampleSet(texts: path)
    }
  }

  /// What the files are, whose content decides on the result as settings do.
  private func digests() throws(CheckpointError) -> [RunState.Option] {
    let operations = FileOperations()
    var found: [RunState.Option] = []
    for (name, path) in [("the content of the examples", plan.data.path), ("the content of --eval", plan.heldOut)] {
      guard let path else { continue }
      found.append(RunState.Option(name, SHA256.hexadecimal(try operations.digest(of: path))))
    }
    return found
  }

  /// The sample as the model saw it before training. A run that goes on has it from the run before.
  private func viewBefore(_ training: TrainingStep, _ sample: RetrievalSet) throws -> SampleView? {
    let path = "\(plan.output)/\(RunCheckpoints.name)/\(Self.beforeName)"
    if plan.resumes, let kept = SampleView.read(path) { return kept }
    let view = try self.view(training, sample)
    try view.write(Self.beforeName, in: "\(plan.output)/\(RunCheckpoints.name)")
    return view
  }

  private func view(_ training: TrainingStep, _ sample: RetrievalSet) throws -> SampleView {
    let rows = try sample.rows(training.embed)
    return try SampleView(queries: rows.queries, documents: rows.documents, own: sample.own)
  }

  private func describe(_ trainer: Trainer, _ set: TokenizedSet, _ sample: RetrievalSet, isEvaluated: Bool) {
    let values = trainer.training.trained.reduce(0) { $0 + $1.layout.entries.reduce(0) { $0 + $1.count } }
    var text = "\(set.count) examples, \(set.differentTexts) different texts, \(trainer.last) steps, "
    text += "\(values) trained values"
    if isEvaluated { text += ", \(sample.queries.count) held-out pairs" }
    watch(.note(text))
    if trainer.step > 0 { watch(.note("going on behind step \(trainer.step)")) }
  }

  /// Writes the model and the report, and then removes what was needed to go on.
  private func write(
    _ trainer: Trainer, _ opened: OpenedModel, _ checkpoints: RunCheckpoints, _ sample: RetrievalSet,
    _ before: SampleView?, isHeldOut: Bool, _ outcome: Trainer.Outcome
  ) throws {
    let values = try trainer.training.valuesToSave()
    var words = outcome == .stoppedEarly ? "Stopped early behind step \(trainer.step)" : "\(trainer.step) steps"
    // The view is that of the model which is written. Nothing is trained any more, so that the values may be replaced.
    if let best = trainer.stopping.best, best.step != trainer.step, try checkpoints.best(into: values) == best.step {
      words += "; the model is that of step \(best.step), which was the best in evaluations"
    }
    try opened.write(plan.output, values)
    let rows = try sample.rows {
      try GradientCache(opened.model, $0, dropout: nil, chunkTokens: 0)
        .forward(values, keeps: false, trainer.crew)
    }
    let report = Report(
      title: "Training of \(plan.output)", outcome: "\(words).",
      settings: plan.settings.map { ($0.name, $0.value) }, history: trainer.metrics.history,
      sample: Report.Sample(
        queries: sample.queries, documents: sample.documents, own: sample.own, isHeldOut: isHeldOut),
      before: before, after: try SampleView(queries: rows.queries, documents: rows.documents, own: sample.own))
    try report.write(in: plan.output)
    try trainer.metrics.flush()
    try checkpoints.removeAll()
    watch(.note("\(words); the model and \(Report.name) are in \(plan.output)"))
  }
}
