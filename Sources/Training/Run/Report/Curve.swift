/// A curve over the steps of a training, as an SVG drawing.
struct Curve {
  /// A line of the drawing.
  struct Line {
    var name: String
    /// A class of the report's style sheet, which has the colour.
    var style: String
    var points: [(x: Double, y: Double)]
    /// Whether the points are few enough to be marked.
    var hasMarks = false
  }

  var title: String
  /// What a healthy curve looks like, in a sentence.
  var explanation: String
  var lines: [Line]

  private static let (width, height) = (640.0, 220.0)
  private static let (left, right, top, bottom) = (64.0, 12.0, 12.0, 28.0)
  /// Points of a line that are drawn; where there are more, each is the mean of some.
  private static let mostPoints = 400

  /// A figure; nothing where there is no finite point.
  var figure: String {
    let drawn = lines.map { line in
      var line = line
      line.points = Self.thinned(line.points.filter { $0.x.isFinite && $0.y.isFinite })
      return line
    }.filter { !$0.points.isEmpty }
    let points = drawn.flatMap(\.points)
    guard let first = points.first else { return "" }
    let xs = points.reduce((first.x, first.x)) { (min($0.0, $1.x), max($0.1, $1.x)) }
    let ys = Axis(points.reduce((first.y, first.y)) { (min($0.0, $1.y), max($0.1, $1.y)) })
    let range = xs.0 < xs.1 ? xs : (xs.0 - 1, xs.1 + 1)
    func x(_ value: Double) -> String {
      HTML.plain(Self.left + (value - range.0) / (range.1 - range.0) * (Self.width - Self.left - Self.right))
    }
    func y(_ value: Double) -> String {
      HTML.plain(
        Self.height - Self.bottom
          - (value - ys.low) / (ys.high - ys.low) * (Self.height - Self.top - Self.bottom))
    }
    var svg = """
      <svg viewBox="0 0 \(Int(Self.width)) \(Int(Self.height))" role="img" aria-label="\(HTML.escaped(title))">

      """
    for tick in ys.ticks {
      svg += """
        <line class="grid" x1="\(Int(Self.left))" x2="\(Int(Self.width - Self.right))" y1="\(y(tick))" y2="\(y(tick))"/>\
        <text x="\(Int(Self.left) - 6)" y="\(y(tick))" dy="0.32em" text-anchor="end">\(ys.label(tick))</text>

        """
    }
    let below = Int(Self.height) - 8
    for (value, anchor) in xs.0 < xs.1 ? [(xs.0, "start"), (xs.1, "end")] : [(xs.0, "middle")] {
      svg += "<text x=\"\(x(value))\" y=\"\(below)\" text-anchor=\"\(anchor)\">step \(HTML.fixed(value, 0))</text>\n"
    }
    for line in drawn {
      let path = line.points.map { "\(x($0.x)),\(y($0.y))" }.joined(separator: " ")
      if line.points.count > 1 { svg += "<polyline class=\"\(line.style)\" points=\"\(path)\"/>\n" }
      guard line.hasMarks || line.points.count == 1 else { continue }
      for point in line.points {
        let value = "step \(HTML.fixed(point.x, 0)): \(HTML.number(point.y))"
        svg +=
          "<circle class=\"\(line.style)\" cx=\"\(x(point.x))\" cy=\"\(y(point.y))\" r=\"3\"><title>\(value)</title></circle>\n"
      }
    }
    svg += "</svg>"
    return "<figure>\n<h3>\(HTML.escaped(title))</h3>\n\(svg)\n<figcaption>\(caption)</figcaption>\n</figure>\n"
  }

  /// The first and the last value of each line, in words: a drawing alone says nothing to who cannot see it.
  private var caption: String {
    let values = lines.compactMap { line -> String? in
      guard let first = line.points.first, let last = line.points.last else { return nil }
      return
        "<b class=\"\(line.style)\">\(HTML.escaped(line.name))</b> \(HTML.number(first.y)) → \(HTML.number(last.y))"
    }
    return "\(values.joined(separator: ", ")). \(HTML.escaped(explanation))"
  }

  private static func thinned(_ points: [(x: Double, y: Double)]) -> [(x: Double, y: Double)] {
    guard points.count > mostPoints else { return points }
    return (0..<mostPoints).map { part in
      let range = part * points.count / mostPoints..<(part + 1) * points.count / mostPoints
      let count = Double(range.count)
      return (points[range].reduce(0) { $0 + $1.x } / count, points[range].reduce(0) { $0 + $1.y } / count)
    }
  }

  /// The values as they are, and their exponential moving average over about the tenth part of the steps, at most 50 of them.
  static func smoothed(_ name: String, _ points: [(x: Double, y: Double)]) -> [Line] {
    let steps = min(50, Double(points.count) / 10)
    guard steps > 1, var mean = points.first?.y else { return [Line(name: name, style: "a", points: points)] }
    let share = 2 / (steps + 1)
    let smooth = points.map { point in
      mean += share * (point.y - mean)
      return (point.x, mean)
    }
    return [
      Line(name: name, style: "faint", points: points), Line(name: "smoothed", style: "a", points: smooth),
    ]
  }
}

/// The ends of an axis and its marks, at round numbers.
struct Axis {
  let low: Double
  let high: Double
  let ticks: [Double]
  private let digits: Int

  init(_ range: (Double, Double)) {
    var (low, high) = range
    if !(high - low > max(abs(low), abs(high)) * 1e-9) {
      let margin = max(abs(low) * 0.1, 1e-6)
      (low, high) = (low - margin, high + margin)
    }
    // The unit is 1, 2 or 5 times a power of ten, so that there are about four marks.
    let wanted = (high - low) / 4
    var power = 1.0
    var digits = 0
    while power > wanted { (power, digits) = (power / 10, digits + 1) }
    while power * 10 <= wanted { (power, digits) = (power * 10, digits - 1) }
    let unit = [5, 2, 1].map { $0 * power }.first { $0 <= wanted } ?? power
    let (first, last) = ((low / unit).rounded(.down), (high / unit).rounded(.up))
    self.low = first * unit
    self.high = last * unit
    ticks = (0...Int(min(last - first, 12))).map { (first + Double($0)) * unit }
    self.digits = max(0, digits)
  }

  func label(_ value: Double) -> String { digits > 4 ? HTML.number(value) : HTML.fixed(value, digits) }
}

extension HTML {
  /// A coordinate: two digits behind the point, with the sign that SVG reads.
  static func plain(_ value: Double) -> String {
    let hundredths = Int((min(max(value, -1e6), 1e6) * 100).rounded())
    let size = abs(hundredths)
    return "\(hundredths < 0 ? "-" : "")\(size / 100).\(size % 100 < 10 ? "0" : "")\(size % 100)"
  }
}
