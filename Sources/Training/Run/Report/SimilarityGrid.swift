/// A matrix of cosines as a grid of coloured squares.
enum SimilarityGrid {
  private static let cell = 16

  /// A figure; the square at row i and column j is query i and the document of query j.
  static func figure(_ title: String, _ rows: [[Float]]) -> String {
    let size = rows.count * cell
    var svg = """
      <svg class="matrix" viewBox="-20 -16 \(size + 22) \(size + 18)" role="img" aria-label="\(HTML.escaped(title))">

      """
    for number in rows.indices {
      let middle = number * cell + cell / 2
      svg += "<text x=\"\(middle)\" y=\"-4\" text-anchor=\"middle\">\(number + 1)</text>"
      svg += "<text x=\"-4\" y=\"\(middle)\" dy=\"0.32em\" text-anchor=\"end\">\(number + 1)</text>\n"
    }
    for (row, values) in rows.enumerated() {
      for (column, value) in values.enumerated() {
        let name = "query \(row + 1), document \(column + 1): \(HTML.fixed(Double(value), 3))"
        svg += """
          <rect x="\(column * cell)" y="\(row * cell)" width="\(cell - 1)" height="\(cell - 1)" \
          fill="\(colour(value))"><title>\(name)</title></rect>
          """
      }
      svg += "\n"
    }
    svg += "</svg>"
    return "<figure>\n<h3>\(HTML.escaped(title))</h3>\n\(svg)\n<figcaption>\(caption(rows))</figcaption>\n</figure>\n"
  }

  private static func caption(_ rows: [[Float]]) -> String {
    var (own, other) = (0.0, 0.0)
    for (row, values) in rows.enumerated() {
      for (column, value) in values.enumerated() {
        if row == column { own += Double(value) } else { other += Double(value) }
      }
    }
    let count = Double(rows.count)
    let others = rows.count > 1 ? other / (count * (count - 1)) : .nan
    return "Mean cosine of pairs \(HTML.number(own / count, 3)), of others \(HTML.number(others, 3))."
  }

  /// From blue at −1 over a light grey at 0 to dark red at 1, which people with the usual colour blindness tell apart.
  static func colour(_ cosine: Float) -> String {
    let value = cosine.isFinite ? Double(min(max(cosine, -1), 1)) : 0
    let end: (Double, Double, Double) = value < 0 ? (33, 102, 172) : (165, 15, 21)
    let middle = (240.0, 238.0, 232.0)
    func mixed(_ from: Double, _ to: Double) -> Int { Int((from + (to - from) * abs(value)).rounded()) }
    return "rgb(\(mixed(middle.0, end.0)),\(mixed(middle.1, end.1)),\(mixed(middle.2, end.2)))"
  }
}
