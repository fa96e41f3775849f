import HTTP1

/// The formats in which batches travel.
enum MediaType: String, Sendable, CaseIterable {
  case json = "application/json"
  case safetensors = "application/x-safetensors"

  /// The type that a Content-Type field names; nil when it is another type. Parameters are ignored.
  init?(contentType field: String) {
    let name = field.split(separator: ";", omittingEmptySubsequences: false).first ?? ""
    self.init(rawValue: Self.trimmed(name))
  }

  /// The one of `offered` that an Accept field prefers (RFC 9110, 12.5.1); the first where it has no preference.
  ///
  /// - Returns: nil when the field excludes them all.
  static func preferred(of offered: [MediaType], accept field: String?) -> MediaType? {
    guard let field, !trimmed(field[...]).isEmpty else { return offered.first }
    var best: (type: MediaType, quality: Double)?
    for type in offered {
      let quality = quality(of: type, in: field)
      guard quality > 0, quality > best?.quality ?? 0 else { continue }
      best = (type, quality)
    }
    return best?.type
  }

  /// The quality that the most specific matching range gives; 0 when none matches.
  private static func quality(of type: MediaType, in field: String) -> Double {
    var found: (specificity: Int, quality: Double) = (-1, 0)
    for range in field.split(separator: ",") {
      let parts = range.split(separator: ";").map(trimmed)
      let specificity: Int
      switch parts.first {
      case type.rawValue: specificity = 2
      case "application/*": specificity = 1
      // "*" alone is not in the grammar, but Java's HttpURLConnection sends it.
      case "*/*", "*": specificity = 0
      default: continue
      }
      guard specificity > found.specificity else { continue }
      let weight = parts.dropFirst().first { $0.hasPrefix("q=") }.map { Double($0.dropFirst(2)) ?? 0 }
      found = (specificity, weight ?? 1)
    }
    return found.quality
  }

  /// Without surrounding spaces and tabs (OWS), in lower case.
  static func trimmed(_ text: Substring) -> String {
    var text = text
    while let first = text.utf8.first, first == 0x20 || first == 0x09 { text.removeFirst() }
    while let last = text.utf8.last, last == 0x20 || last == 0x09 { text.removeLast() }
    return text.lowercased()
  }
}
