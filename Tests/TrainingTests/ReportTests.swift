import SimilarityCore
import Testing
import Training

/// `report.html`, and the views of a sample that it shows.
struct ReportTests {
  private let sample = Report.Sample(
    queries: ["<b>bold</b> & \"quoted\"", "猫はどこ？", "plain\u{0}"],
    documents: ["first", "<script>alert(1)</script>", "猫がいます"], own: [0, 2, 1], isHeldOut: true)

  private func view(_ values: [Float]) throws -> SampleView {
    let queries = try #require(Matrix(rows: 3, columns: 3, values: values))
    let documents = try #require(Matrix(rows: 3, columns: 3, values: [1, 0, 0, 0, 1, 0, 0, 0, 1]))
    return try SampleView(queries: queries, documents: documents, own: sample.own)
  }

  private func report(_ steps: Int, evaluations: Int) throws -> Report {
    var history = MetricsHistory()
    for step in 1...steps {
      history.steps.append(
        StepMetrics(
          step: step, epoch: Double(step), loss: 4 / Double(step), accuracy: 1 - 1 / Double(step), temperature: 0.05,
          rate: 2e-5 * Double(steps - step), gradientNorm: 3, pairs: 8, tokens: 80))
    }
    for step in 0..<evaluations {
      history.evaluations.append(
        EvaluationMetrics(
          step: step * 10,
          values: Evaluation(
            recallAt1: 0.5, recallAt10: 0.75, meanReciprocalRank: step == 1 ? 0.7 : 0.6, alignment: 0.5, uniformity: -2)
        ))
    }
    return Report(
      title: "A & B", outcome: "It ended <well>.", settings: [("objective", "infonce"), ("pairs", "a<b>.jsonl")],
      history: history, sample: sample, before: try view([1, 2, 0, 0, 1, 0.1, 0, 0, 1]),
      after: try view([1, 0, 0, 0, 0, 1, 0, 1, 0]))
  }

  @Test func aViewHasCosinesAndNeighbors() throws {
    let found = try view([3, 4, 0, 0, 0, 2, 0, 1, 0])
    #expect(found.similarities == [[0.6, 0, 0.8], [0, 1, 0], [0, 0, 1]])
    #expect(found.neighbors[0].map(\.document) == [1, 0, 2] && found.neighbors[0][0].cosine == 0.8)
    // Documents that are equally near stand in their order.
    #expect(found.neighbors[1].map(\.document) == [2, 0, 1])
  }

  @Test func aViewIsReadAsItWasWritten() throws {
    let found = try view([0.1, 0.2, 0.3, 3, 1, 4, 1, 5, 9])
    try found.write("nearfar-view-test.json", in: "/tmp")
    #expect(SampleView.read("/tmp/nearfar-view-test.json") == found)
    #expect(SampleView.read("/tmp/nearfar-none") == nil)
  }

  @Test func textsAreShownAndNotInterpreted() throws {
    let page = try report(20, evaluations: 3).html
    #expect(page.contains("<span dir=\"auto\">&lt;b&gt;bold&lt;/b&gt; &amp; &quot;quoted&quot;</span>"))
    #expect(page.contains("<span dir=\"auto\" lang=\"ja\">猫がいます</span>"))
    #expect(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;") && !page.contains("<script"))
    #expect(page.contains("plain\u{FFFD}") && !page.contains("\u{0}"))
    #expect(page.contains("<title>A &amp; B</title>") && page.contains("It ended &lt;well&gt;."))
    #expect(page.contains("<td>a&lt;b&gt;.jsonl</td>"))
  }

  @Test func thePageIsCompleteAndNeedsNothingElse() throws {
    let page = try report(20, evaluations: 3).html
    for title in [
      "Loss", "Accuracy in the batch", "Learning rate", "Norm of the gradients", "Temperature", "Retrieval",
      "Alignment and uniformity", "Before training", "After training",
    ] {
      #expect(page.contains("<h3>\(title)</h3>"), "\(title)")
    }
    for foreign in ["http:", "https:", "src=", "href=", "url(", "@import"] { #expect(!page.contains(foreign)) }
    #expect(page.contains("<b class=\"faint\">loss</b> 4.0000 → 0.2000"))
    #expect(page.contains("<tr><th>Recall@1</th><td>50.00 %</td><td>50.00 %</td><td>50.00 %</td></tr>"))
    #expect(page.contains("<th>best (step 10)</th>"))
    // The squares of both matrices, the dark red of a cosine of 1, and the mark of the own document.
    #expect(page.components("<rect ") == 18 && page.contains("fill=\"rgb(165,15,21)\""))
    #expect(page.contains("Mean cosine of pairs 1.000, of others 0.000."))
    #expect(page.components("(its own)") == 6)
  }

  @Test func elementsAreClosed() throws {
    let page = try report(700, evaluations: 1).html
    for name in [
      "svg", "figure", "table", "tr", "td", "th", "div", "section", "ol", "li", "details", "title", "h3", "b",
    ] {
      #expect(page.components("<\(name)>") + page.components("<\(name) ") == page.components("</\(name)>"), "\(name)")
    }
    #expect(page.utf8.count < 200_000)
  }

  @Test func whatIsMissingIsLeftOut() throws {
    var report = try report(1, evaluations: 0)
    report.before = nil
    report.history.steps[0].accuracy = nil
    report.history.steps[0].temperature = nil
    let page = report.html
    #expect(!page.contains("Accuracy in the batch") && !page.contains("<h3>Temperature"))
    #expect(!page.contains("Before training") && !page.contains("<h4>Before</h4>"))
    #expect(page.contains("No pairs were held out") && page.contains("<circle"))
  }
}

extension String {
  /// How often a part occurs.
  fileprivate func components(_ part: String) -> Int {
    let (all, wanted) = (Array(utf8), Array(part.utf8))
    guard all.count >= wanted.count else { return 0 }
    return (0...all.count - wanted.count).count { all[$0] == wanted[0] && all[$0...].starts(with: wanted) }
  }
}
