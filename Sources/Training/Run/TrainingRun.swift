import Contrastive
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
    try check(examples)
    let options = plan.settings + (try digests())
    let checkpoints = try RunCheckpoints(plan.output, options, resumes: plan.resumes) { watch(.note($0)) }
    // An option that differs is told before minutes are spent on tokens.
    if plan.resumes { _ = try checkpoints.newest() }

    let crew = Crew(threads: plan.threads)
    let maker = SequenceMaker(opened.tokenizer, opened.tokenizing)
    let sample = RetrievalSet(
      heldOut ?? examples, maker, most: heldOut == nil ? Self.sampledExamples : nil)
    let set = try TokenizedSet(examples, opened.tokenizer, opened.tokenizing, threads: plan.threads)
    let training = try TrainingStep(model: opened.model, options: plan.step, crew: crew, teacher: opened.teacher)
    let (before, firstRows) = try viewBefore(training, sample)
    let page = RunningReport(plan, sample, isHeldOut: heldOut != nil, before: before)
    let trainer = try Trainer(
      training, set, heldOut: heldOut == nil ? nil : sample, firstRows: firstRows, plan.trainer, crew: crew,
      checkpoints: checkpoints,
      metrics: { try MetricsFile(in: plan.output, goingOnFrom: $0) },
      watch: { [weak page] event in
        watch(.trainer(event))
        page?.take(event, watch)
      }, isAskedToStop: isAskedToStop)
    page.metrics = trainer.metrics
    describe(trainer, set, sample, isEvaluated: heldOut != nil)

    let outcome = try trainer.run()
    if outcome == .interrupted { return .interrupted(step: trainer.step) }
    try write(trainer, opened, checkpoints, page, outcome)
    return .finished
  }

  private func examples() throws(DataError) -> ExampleSet {
    switch plan.data {
    case .pairs(let path): try ExampleSet(pairs: path)
    case .texts(let path): try ExampleSet(texts: path)
    }
  }

  /// Finds what does not fit before anything is written.
  ///
  /// - Throws: ``RunError`` where the objective does not fit the examples; ``StepError`` where an option does not fit the model.
  private func check(_ examples: ExampleSet) throws {
    try plan.step.check()
    let objective = plan.step.objective
    if objective.requiredOptions.contains(.labels), examples.labels.isEmpty {
      throw RunError("\(examples.file): --objective \(objective.rawValue) needs a label in each line")
    }
    if examples.hasNegatives, !objective.options.contains(.negatives) {
      throw RunError("\(examples.file): has negatives, which --objective \(objective.rawValue) does not use")
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

  /// The sample as the model saw it before training, and the vectors that show it. A run that goes on has the view from the run
  /// before, without the vectors.
  private func viewBefore(
    _ training: TrainingStep, _ sample: RetrievalSet
  ) throws -> (SampleView, rows: RetrievalSet.Rows?) {
    let path = "\(plan.output)/\(RunCheckpoints.name)/\(Self.beforeName)"
    if plan.resumes, let kept = SampleView.read(path) { return (kept, nil) }
    let rows = try sample.rows { try training.embed($0) }
    let view = try SampleView(queries: rows.queries, documents: rows.documents, own: sample.own)
    try view.write(Self.beforeName, in: "\(plan.output)/\(RunCheckpoints.name)")
    return (view, rows)
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
    _ trainer: Trainer, _ opened: OpenedModel, _ checkpoints: RunCheckpoints, _ page: RunningReport,
    _ outcome: Trainer.Outcome
  ) throws {
    let values = try trainer.training.valuesToSave()
    var words = outcome == .stoppedEarly ? "stopped early behind step \(trainer.step)" : "made \(trainer.step) steps"
    // Those of the latest evaluation, which is of the last step.
    var rows = page.latest
    // Nothing is trained any more, so that the values may be replaced.
    if let best = trainer.stopping.best, best.step != trainer.step, try checkpoints.best(into: values) == best.step {
      words += "; the model is that of step \(best.step), which was the best in evaluations"
      rows = nil
    }
    try opened.write(plan.output, values)
    let shown = try rows ?? page.sample.rows { try trainer.training.embed($0, by: values) }
    try page.write("The training has ended: \(words).", shown)
    try trainer.metrics.flush()
    try checkpoints.removeAll()
    watch(.note("\(words); the model and \(Report.name) are in \(plan.output)"))
  }
}
