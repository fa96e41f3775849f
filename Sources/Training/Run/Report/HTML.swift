/// Texts and numbers as HTML has them.
enum HTML {
  /// A text that is shown as it is, in elements and in attributes between double quotes. Control characters, which HTML does not
  /// allow, become U+FFFD.
  static func escaped(_ text: some StringProtocol) -> String {
    var out = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "&": out += "&amp;"
      case "<": out += "&lt;"
      case ">": out += "&gt;"
      case "\"": out += "&quot;"
      case "'": out += "&#39;"
      case "\t", "\n", "\r": out += " "
      case "\u{0}"..."\u{1F}", "\u{7F}"..."\u{9F}": out.unicodeScalars.append("\u{FFFD}")
      default: out.unicodeScalars.append(scalar)
      }
    }
    return out
  }

  /// The most characters of a text that a report shows.
  private static let longestText = 240

  /// An element with a text of the training set. Its direction is its own; and where it has kana, browsers choose the Japanese forms
  /// of Han characters.
  static func text(_ text: String, _ element: String = "span") -> String {
    let shown = text.count > longestText ? text.prefix(longestText) + "…" : text[...]
    let isJapanese = shown.unicodeScalars.contains { ("\u{3041}"..."\u{30FF}").contains($0) }
    return "<\(element) dir=\"auto\"\(isJapanese ? " lang=\"ja\"" : "")>\(escaped(shown))</\(element)>"
  }

  /// A number with so many digits behind the point. Large and small ones have an exponent.
  static func number(_ value: Double, _ digits: Int = 4) -> String {
    guard value.isFinite else { return "–" }
    let size = abs(value)
    guard size == 0 || size >= 1e-3 && size < 1e6 else { return exponential(value) }
    return fixed(value, digits)
  }

  /// Without an exponent.
  static func fixed(_ value: Double, _ digits: Int) -> String {
    guard value.isFinite, abs(value) < 1e15 else { return "–" }
    var scale = 1.0
    for _ in 0..<digits { scale *= 10 }
    let scaled = (abs(value) * scale).rounded()
    guard scaled < 9e18 else { return "\(value)" }
    let units = Int(scaled)
    let whole = units / Int(scale)
    let sign = value < 0 && units > 0 ? "−" : ""
    guard digits > 0 else { return "\(sign)\(whole)" }
    let rest = String(units % Int(scale))
    return "\(sign)\(whole).\(String(repeating: "0", count: digits - rest.count))\(rest)"
  }

  /// `2.00e−5`.
  private static func exponential(_ value: Double) -> String {
    var exponent = 0
    var mantissa = abs(value)
    while mantissa >= 10 { (mantissa, exponent) = (mantissa / 10, exponent + 1) }
    while mantissa < 1 { (mantissa, exponent) = (mantissa * 10, exponent - 1) }
    let sign = value < 0 ? "−" : ""
    return "\(sign)\(fixed(mantissa, 2))e\(exponent < 0 ? "−" : "")\(abs(exponent))"
  }
}
