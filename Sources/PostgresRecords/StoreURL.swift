/// The address of a database.
package enum StoreURL {
  /// Whether `text` is one, rather than the path of a folder.
  package static func isOne(_ text: String) -> Bool {
    text.hasPrefix("postgresql://") || text.hasPrefix("postgres://")
  }

  /// The address without passwords: neither what stands behind the user's name, nor parameters whose name speaks of a secret. The
  /// result is for messages, and empty where the text is no such address.
  ///
  /// A password may have characters that should have been percent-encoded. libpq takes everything up to an @ as the user's name and
  /// password, `?` included, and a user may have thought that it takes `/` and `@`, too. So everything from the first colon to the last
  /// @ is left out, which at worst leaves out a port.
  package static func withoutSecrets(_ url: String) -> String {
    guard isOne(url), let colon = url.firstIndex(of: ":") else { return "" }
    let start = url.index(colon, offsetBy: 3)
    var rest = String(url[start...])
    if let at = rest.lastIndex(of: "@"), let colon = rest[..<at].firstIndex(of: ":") {
      rest.replaceSubrange(colon..<at, with: ":***")
    }
    let parts = rest.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
    var out = url[..<start] + (parts.first ?? "")
    if parts.count > 1 {
      let parameters = parts[1].split(separator: "&").map { parameter in
        let name = parameter.prefix { $0 != "=" }
        return isSecret(name.lowercased()) ? "\(name)=***" : String(parameter)
      }
      out += "?" + parameters.joined(separator: "&")
    }
    return String(out)
  }

  /// Whether the value of a parameter must not be shown. libpq also takes names with percent-encoded letters.
  private static func isSecret(_ name: String) -> Bool {
    name.contains("%") || ["password", "secret", "scram"].contains { name.contains($0) }
  }
}
