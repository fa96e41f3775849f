import Service

/// The values of `--model`: a folder, or NAME=DIR several times with commas between them.
struct ModelSources {
  private(set) var sources: [LoadedModels.Source] = []

  /// - Returns: nil where a folder is missing.
  init?(_ text: String) {
    // A folder's path may have commas: a part that begins no NAME=DIR belongs to the one before it.
    var parts: [String] = []
    for part in text.split(separator: ",", omittingEmptySubsequences: false) {
      if let last = parts.indices.last, Self.name(of: String(part)) == nil {
        parts[last] += ",\(part)"
      } else {
        parts.append(String(part))
      }
    }
    for part in parts {
      let name = Self.name(of: part)
      let folder = name.map { String(part.dropFirst($0.count + 1)) } ?? part
      guard !folder.isEmpty else { return nil }
      sources.append(LoadedModels.Source(name: name, folder: folder))
    }
  }

  /// What stands before the first `=`, unless it looks like the beginning of a path.
  private static func name(of part: String) -> String? {
    guard let end = part.firstIndex(of: "=") else { return nil }
    let name = part[..<end]
    guard let first = name.first, first != "/", first != ".", first != "~" else { return nil }
    return String(name)
  }
}
