import Platform

/// `report.html`: one page that shows a training to a person. It needs nothing beside itself, neither other files nor scripts.
package struct Report {
  package static let name = "report.html"

  /// The texts that the views are about.
  package struct Sample: Sendable {
    /// At least as many as ``SampleView/matrixSize`` where there are so many.
    package var queries: [String]
    package var documents: [String]
    /// For each query the row of its document.
    package var own: [Int]
    /// Whether the pairs were held out from training.
    package var isHeldOut: Bool

    package init(queries: [String], documents: [String], own: [Int], isHeldOut: Bool) {
      self.queries = queries
      self.documents = documents
      self.own = own
      self.isHeldOut = isHeldOut
    }
  }

  package var title: String
  /// How the run ended, in a sentence.
  package var outcome: String
  /// What the run was called with, by name.
  package var settings: [(name: String, value: String)]
  package var history: MetricsHistory
  package var sample: Sample
  /// nil where it is not known any more.
  package var before: SampleView?
  package var after: SampleView

  package init(
    title: String, outcome: String, settings: [(name: String, value: String)], history: MetricsHistory, sample: Sample,
    before: SampleView?, after: SampleView
  ) {
    self.title = title
    self.outcome = outcome
    self.settings = settings
    self.history = history
    self.sample = sample
    self.before = before
    self.after = after
  }

  /// The page.
  package var html: String {
    """
    <!DOCTYPE html>
    <html lang="en">
    <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>\(HTML.escaped(title))</title>
    <style>
    \(Self.style)
    </style>
    </head>
    <body>
    <h1>\(HTML.escaped(title))</h1>
    <p>\(HTML.escaped(outcome))</p>
    \(table)
    <h2>Held-out pairs</h2>
    \(evaluations)
    <h2>Steps</h2>
    <div class="figures">
    \(curves)
    </div>
    <h2>Similarities of a sample</h2>
    <p>\(SampleView.matrixSize) pairs at most, \(sample.isHeldOut ? "held out from training" : "of the training set"). \
    Row i is a query and column j the document of query j; the diagonal should be dark red, and everything else light.</p>
    <div class="figures">
    \(grids)
    </div>
    \(pairs)
    <h2>Nearest documents</h2>
    \(neighbors)
    </body>
    </html>

    """
  }

  /// Writes the page, which is whole or as it was before.
  ///
  /// - Throws: ``RunError`` naming the file.
  package func write(in folder: String) throws(RunError) {
    let path = "\(folder)/\(Self.name)"
    let reason = Array(html.utf8).withUnsafeBytes { bytes in NewFile.write(path, in: folder) { $0(bytes) } }
    if let reason { throw RunError("cannot write \(path): \(reason)") }
  }

  private var table: String {
    let rows = settings.map { "<tr><th>\(HTML.escaped($0.name))</th><td>\(HTML.escaped($0.value))</td></tr>" }
    return "<details open>\n<summary>Settings</summary>\n<table>\n\(rows.joined(separator: "\n"))\n</table>\n</details>"
  }

  private var grids: String {
    let first = before.map { SimilarityGrid.figure("Before training", $0.similarities) } ?? ""
    return first + SimilarityGrid.figure("After training", after.similarities)
  }

  private func document(_ row: Int) -> String { sample.documents.indices.contains(row) ? sample.documents[row] : "" }

  private var pairs: String {
    let rows = after.similarities.indices.filter { sample.queries.indices.contains($0) }.map { query in
      "<tr><td>\(query + 1)</td>\(HTML.text(sample.queries[query], "td"))\(HTML.text(document(sample.own[query]), "td"))</tr>"
    }
    return """
      <details>
      <summary>The texts of the sample</summary>
      <table>
      <tr><th></th><th>Query</th><th>Document</th></tr>
      \(rows.joined(separator: "\n"))
      </table>
      </details>
      """
  }

  private var neighbors: String {
    after.neighbors.indices.filter { sample.queries.indices.contains($0) }.map { query in
      var lists = ""
      if let before, before.neighbors.indices.contains(query) {
        lists += list("Before", before.neighbors[query], query)
      }
      lists += list("After", after.neighbors[query], query)
      return
        "<section>\n<h3>\(HTML.text(sample.queries[query]))</h3>\n<div class=\"figures\">\(lists)</div>\n</section>\n"
    }.joined()
  }

  private func list(_ title: String, _ neighbors: [SampleView.Neighbor], _ query: Int) -> String {
    let entries = neighbors.map { neighbor in
      let isOwn = neighbor.document == sample.own[query]
      let mark = isOwn ? " <b>(its own)</b>" : ""
      return
        "<li\(isOwn ? " class=\"own\"" : "")>\(HTML.text(document(neighbor.document)))"
        + " <small>\(HTML.fixed(Double(neighbor.cosine), 3))</small>\(mark)</li>"
    }
    return "<div><h4>\(title)</h4>\n<ol>\n\(entries.joined(separator: "\n"))\n</ol></div>\n"
  }
}
