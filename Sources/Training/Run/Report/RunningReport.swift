import SimilarityCore

/// The report of a run, written anew at each evaluation, so that a person can watch the run, and at its end.
final class RunningReport {
  let sample: RetrievalSet
  private let plan: TrainingPlan
  private let isHeldOut: Bool
  private let before: SampleView?
  /// Of the run, once it has begun.
  var metrics: MetricsFile?
  /// Of the latest evaluation; nil before the first.
  private(set) var latest: RetrievalSet.Rows?

  init(_ plan: TrainingPlan, _ sample: RetrievalSet, isHeldOut: Bool, before: SampleView?) {
    (self.plan, self.sample, self.isHeldOut, self.before) = (plan, sample, isHeldOut, before)
  }

  /// Writes the page behind an evaluation. A page that cannot be written is told, and does not end the run.
  func take(_ event: Trainer.Event, _ watch: (TrainingRun.Event) -> Void) {
    guard case .evaluation(let evaluation, _, let rows) = event else { return }
    latest = rows
    do {
      try write("The training is at step \(evaluation.step).", rows)
    } catch {
      watch(.note("\(error)"))
    }
  }

  /// - Throws: ``RunError`` where the page cannot be written; `ProductFailure` when the matrix library fails.
  func write(_ outcome: String, _ rows: RetrievalSet.Rows) throws {
    var files = [("--pairs", plan.data.path)]
    if case .texts(let path) = plan.data { files = [("--texts", path)] }
    if let path = plan.heldOut { files.append(("--eval", path)) }
    let report = Report(
      title: "Training of \(plan.output)", outcome: outcome,
      settings: files + plan.settings.map { ($0.name, $0.value) },
      history: metrics?.history ?? MetricsHistory(),
      sample: Report.Sample(
        queries: sample.queries, documents: sample.documents, own: sample.own, isHeldOut: isHeldOut),
      before: before, after: try SampleView(queries: rows.queries, documents: rows.documents, own: sample.own))
    try report.write(in: plan.output)
  }
}
