/// The address of a database.
package enum StoreURL {
  /// Whether `text` is one, rather than the path of a folder.
  package static func isOne(_ text: String) -> Bool {
    text.hasPrefix("postgresql://") || text.hasPrefix("postgres://")
  }

  /// The address without passwords: neither what stands between the user's name and the host, nor parameters whose name speaks of
  /// a password. The result is for messages, and empty where the text is no such address.
  package static func withoutSecrets(_ url: String) -> String {
    guard isOne(url), let colon = url.firstIndex(of: ":") else { return "" }
    let start = url.index(colon, offsetBy: 3)
    let rest = url[start...]
    let end = rest.firstIndex { $0 == "/" || $0 == "?" } ?? rest.endIndex
    var authority = String(rest[..<end])
    if let at = authority.lastIndex(of: "@"), let colon = authority[..<at].firstIndex(of: ":") {
      authority.replaceSubrange(colon..<at, with: ":***")
    }
    let parts = rest[end...].split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
    var out = url[..<start] + authority + (parts.first ?? "")
    if parts.count > 1 {
      let parameters = parts[1].split(separator: "&").map { parameter in
        let name = parameter.split(separator: "=").first ?? ""
        return name.lowercased().contains("password") ? "\(name)=***" : String(parameter)
      }
      out += "?" + parameters.joined(separator: "&")
    }
    return String(out)
  }
}
