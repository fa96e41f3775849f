extension Report {
  /// The curves over the steps.
  var curves: String {
    let steps = history.steps
    func points(_ value: (StepMetrics) -> Double?) -> [(x: Double, y: Double)] {
      steps.compactMap { step in value(step).map { (Double(step.step), $0) } }
    }
    let curves = [
      Curve(
        title: "Loss",
        explanation:
          "It should fall fast at first and then slowly. A loss that does not move wants a higher learning rate or better "
          + "pairs; one that rises or jumps wants a lower rate.",
        lines: Curve.smoothed("loss", points(\.loss))),
      Curve(
        title: "Accuracy in the batch",
        explanation:
          "The share of queries whose positive has the largest logit of the batch. The larger the batch, the harder that is.",
        lines: Curve.smoothed("accuracy", points(\.accuracy))),
      Curve(
        title: "Learning rate", explanation: "As the schedule says.",
        lines: [Curve.Line(name: "rate", style: "a", points: points(\.rate))]),
      Curve(
        title: "Norm of the gradients",
        explanation: "Before clipping. It should stay within one order of magnitude; peaks are single hard batches.",
        lines: Curve.smoothed("norm", points(\.gradientNorm))),
      Curve(
        title: "Temperature",
        explanation:
          "A learned temperature falls while pairs become easier to tell apart; near its lower bound the loss sees hard "
          + "negatives only.",
        lines: [Curve.Line(name: "temperature", style: "a", points: points(\.temperature))]),
    ]
    return curves.map(\.figure).joined()
  }

  /// The values of the evaluations as curves, and the first and the last in a table.
  var evaluations: String {
    let all = history.evaluations
    guard let first = all.first, let last = all.last else {
      return
        "<p>No pairs were held out (<code>--eval</code>), so that nothing says how the model does on what it has not seen.</p>"
    }
    let best = all.dropFirst().reduce(first) { $1.values.meanReciprocalRank > $0.values.meanReciprocalRank ? $1 : $0 }
    let columns = all.count == 1 ? [first] : [first, best, last]
    let heads =
      all.count == 1
      ? ["step \(first.step)"]
      : [
        "first (step \(first.step))", "best (step \(best.step))", "last (step \(last.step))",
      ]
    let rows = Self.measures.map { measure in
      let cells = columns.map { "<td>\(measure.text($0.values))</td>" }.joined()
      return "<tr><th>\(measure.name)</th>\(cells)</tr>"
    }
    let head = "<tr><th></th>\(heads.map { "<th>\($0)</th>" }.joined())</tr>"
    return """
      <table>
      \(head)
      \(rows.joined(separator: "\n"))
      </table>
      <div class="figures">
      \(evaluationCurves(all))
      </div>
      """
  }

  private struct Measure {
    let name: String
    let value: (Evaluation) -> Double
    let isShare: Bool

    func text(_ values: Evaluation) -> String {
      isShare ? "\(HTML.fixed(100 * value(values), 2)) %" : HTML.number(value(values))
    }
  }

  private static var measures: [Measure] {
    [
      Measure(name: "Recall@1", value: \.recallAt1, isShare: true),
      Measure(name: "Recall@10", value: \.recallAt10, isShare: true),
      Measure(name: "Mean reciprocal rank", value: \.meanReciprocalRank, isShare: false),
      Measure(name: "Alignment", value: \.alignment, isShare: false),
      Measure(name: "Uniformity", value: \.uniformity, isShare: false),
    ]
  }

  private func evaluationCurves(_ all: [EvaluationMetrics]) -> String {
    func line(_ name: String, _ style: String, _ value: (Evaluation) -> Double) -> Curve.Line {
      Curve.Line(
        name: name, style: style, points: all.map { (Double($0.step), value($0.values)) }, hasMarks: all.count <= 60)
    }
    let curves = [
      Curve(
        title: "Retrieval",
        explanation:
          "It should rise, and then be level. Where it falls while the loss still falls, the model learns the training "
          + "set by heart.",
        lines: [
          line("recall@1", "a", \.recallAt1), line("recall@10", "b", \.recallAt10),
          line("mean reciprocal rank", "c", \.meanReciprocalRank),
        ]),
      Curve(
        title: "Alignment and uniformity",
        explanation:
          "Both are better when lower. Uniformity near 0 means that all vectors have become the same (collapse).",
        lines: [line("alignment", "a", \.alignment), line("uniformity", "b", \.uniformity)]),
    ]
    return curves.map(\.figure).joined()
  }

  /// Colours follow the reader's light or dark mode.
  static let style = """
    :root { color-scheme: light dark; --text: #1f2328; --back: #ffffff; --soft: #59636e; --line: #d1d9e0; --a: #0a58ca; --b: #b35900;
      --c: #1a7f37; }
    @media (prefers-color-scheme: dark) { :root { --text: #e6edf3; --back: #14181d; --soft: #9198a1; --line: #3d444d; --a: #6cb6ff;
      --b: #f0a35e; --c: #57c973; } }
    body { margin: 2rem auto; max-width: 86rem; padding: 0 1rem; color: var(--text); background: var(--back); line-height: 1.5;
      font-family: system-ui, "Noto Sans", "Noto Sans CJK JP", "Hiragino Sans", "Yu Gothic", "Meiryo", sans-serif; }
    h2 { margin-top: 2.5rem; } h3 { margin: 0.5rem 0; font-size: 1rem; } h4 { margin: 0; }
    table { border-collapse: collapse; } th, td { padding: 0.15rem 0.8rem 0.15rem 0; text-align: left; vertical-align: top;
      border-bottom: 1px solid var(--line); overflow-wrap: anywhere; }
    .figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(30rem, 100%), 1fr)); gap: 1.5rem; }
    figure { margin: 0; } figcaption, small, summary { color: var(--soft); } figcaption b { font-weight: 600; }
    svg { width: 100%; height: auto; } svg.matrix { max-width: 34rem; } svg text { fill: var(--soft); font-size: 11px; }
    svg.matrix text { font-size: 9px; }
    polyline { fill: none; stroke-width: 1.8; stroke-linejoin: round; } line.grid { stroke: var(--line); stroke-width: 1; }
    polyline.a { stroke: var(--a); } polyline.b { stroke: var(--b); } polyline.c { stroke: var(--c); }
    polyline.faint { stroke: var(--soft); stroke-opacity: 0.35; stroke-width: 1; }
    circle.a { fill: var(--a); } circle.b { fill: var(--b); } circle.c { fill: var(--c); } circle.faint { fill: var(--soft); }
    b.a { color: var(--a); } b.b { color: var(--b); } b.c { color: var(--c); } b.faint { color: var(--soft); }
    li.own { font-weight: 600; } ol { margin: 0.2rem 0 1rem; padding-left: 1.6rem; }
    section { border-top: 1px solid var(--line); padding-top: 0.5rem; }
    """
}
