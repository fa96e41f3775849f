import JSON

/// `metrics.jsonl` of a run, with the history that it holds.
///
/// Times stand in a file of their own, `times.jsonl`: they differ from run to run, and the metrics must not.
package final class MetricsFile {
  package static let name = "metrics.jsonl"
  package static let timesName = "times.jsonl"

  private let metrics: StepLines
  private let times: StepLines
  package private(set) var history = MetricsHistory()

  /// Opens both files.
  ///
  /// - Parameters:
  ///   - folder: the folder of the run.
  ///   - last: the step of the checkpoint that the run goes on from; nil for a run from the beginning.
  /// - Throws: ``RunError`` naming the file.
  package init(in folder: String, goingOnFrom last: Int?) throws(RunError) {
    metrics = try StepLines("\(folder)/\(Self.name)", keepingTo: last)
    times = try StepLines("\(folder)/\(Self.timesName)", keepingTo: last)
    for line in StepLines.lines(metrics.kept) {
      guard let json = StepLines.object(line) else { continue }
      if let step = StepMetrics(json) {
        history.steps.append(step)
      } else if let evaluation = EvaluationMetrics(json) {
        history.evaluations.append(evaluation)
      }
    }
  }

  /// - Parameter seconds: what the step took.
  package func append(_ step: StepMetrics, seconds: Double) throws(RunError) {
    try metrics.append(step.line)
    history.steps.append(step)
    var json = JSONWriter()
    json.beginObject()
    json.member("step", step.step)
    json.member("seconds", seconds)
    json.member("pairs_per_second", Double(step.pairs) / max(seconds, 1e-9))
    json.member("tokens_per_second", Double(step.tokens) / max(seconds, 1e-9))
    json.endObject()
    try times.append(json.bytes)
  }

  package func append(_ evaluation: EvaluationMetrics) throws(RunError) {
    try metrics.append(evaluation.line)
    history.evaluations.append(evaluation)
  }

  /// Waits until all lines are on the disk.
  package func flush() throws(RunError) {
    try metrics.flush()
    try times.flush()
  }
}
