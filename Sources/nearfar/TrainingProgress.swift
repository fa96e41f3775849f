import Platform
import Training

/// The progress of a training on standard error: a bar on a terminal, otherwise a line every few seconds.
struct TrainingProgress {
  private let isTerminal = isatty(STDERR_FILENO) == 1
  private let began = SystemClock.monotonic
  private var shown: UInt64 = 0
  private var hasBar = false
  /// The steps of this run, and what they have worked off: sums in which a step counts a tenth less with each one behind it.
  private var steps = 0
  private var pairs = 0.0
  private var tokens = 0.0
  private var seconds = 0.0

  /// Takes a step.
  ///
  /// - Parameters:
  ///   - seconds: what it took.
  ///   - last: the step that the training ends with.
  mutating func show(_ step: StepMetrics, seconds taken: Double, last: Int) {
    steps += 1
    pairs = 0.9 * pairs + Double(step.pairs)
    tokens = 0.9 * tokens + Double(step.tokens)
    seconds = 0.9 * seconds + taken
    let now = SystemClock.monotonic
    let isLast = step.step == last
    guard isLast || now &- shown >= (isTerminal ? 100_000_000 : 5_000_000_000) else { return }
    shown = now
    let perStep = Double(now &- began) / 1e9 / Double(steps)
    let share = Double(step.step) / Double(max(1, last))
    var text = "\(ProgressLine.bar(share)) step \(step.step) of \(last), loss \(Self.decimal(step.loss, 4))"
    if let accuracy = step.accuracy { text += ", accuracy \(Self.decimal(100 * accuracy, 1)) %" }
    text += ", \(ProgressLine.rate(pairs, seconds)) pairs/s, \(ProgressLine.rate(tokens, seconds)) tokens/s"
    text += ", \(ProgressLine.clock(perStep * Double(max(0, last - step.step)))) left"
    emit(isTerminal ? "\r\u{1B}[K\(text)" : "\(text)\n")
    hasBar = isTerminal
  }

  /// Takes an evaluation.
  mutating func show(_ evaluation: EvaluationMetrics, isBest: Bool) {
    let values = evaluation.values
    say(
      "step \(evaluation.step): recall@1 \(Self.decimal(100 * values.recallAt1, 2)) %, "
        + "recall@10 \(Self.decimal(100 * values.recallAt10, 2)) %, MRR \(Self.decimal(values.meanReciprocalRank, 4)), "
        + "alignment \(Self.decimal(values.alignment, 3)), uniformity \(Self.decimal(values.uniformity, 3))"
        + (isBest ? " (the best so far)" : ""))
  }

  /// Writes a message on a line of its own.
  mutating func say(_ message: String) {
    if hasBar { emit("\r\u{1B}[K") }
    hasBar = false
    emit("\(message)\n")
  }

  private func emit(_ text: String) { try? SystemFile.standardError.write(Array(text.utf8)[...]) }

  /// A number with so many digits behind the point.
  private static func decimal(_ value: Double, _ digits: Int) -> String {
    guard value.isFinite, abs(value) < 1e9 else { return "\(value)" }
    let scale = (0..<digits).reduce(1) { scale, _ in scale * 10 }
    let units = Int((abs(value) * Double(scale)).rounded())
    let rest = String(units % scale)
    let zeros = String(repeating: "0", count: digits - rest.count)
    return "\(value < 0 && units > 0 ? "-" : "")\(units / scale).\(zeros)\(rest)"
  }
}
