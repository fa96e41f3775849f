import Service

/// The values of `--model`: a folder, or NAME=DIR several times with commas between them.
struct ModelSources {
  private(set) var sources: [LoadedModels.Source] = []

  /// - Returns: nil where a folder is missing.
  /// - Throws: ``UsageError`` for a name that cannot be used, and for several models without names.
  init?(_ text: String) throws(UsageError) {
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
      if let name { try Self.check(name) }
      // What looks like one path with a comma is more often two models, one of which has no name.
      guard !folder.contains(",") || SystemFile.exists(folder) else {
        throw UsageError("there is no folder '\(folder)'; several models need names, as in --model NAME=DIR")
      }
      sources.append(LoadedModels.Source(name: name, folder: folder))
    }
    let names = sources.compactMap(\.name)
    if let twice = names.indices.first(where: { names[..<$0].contains(names[$0]) }) {
      throw UsageError("several models need names of their own, and '\(names[twice])' stands there twice")
    }
  }

  /// What stands before the first `=`, unless it looks like the beginning of a path.
  private static func name(of part: String) -> String? {
    guard let end = part.firstIndex(of: "=") else { return nil }
    let name = part[..<end]
    if let first = name.first, "/.~".contains(first) { return nil }
    return String(name)
  }

  /// Names stand in paths (`/v1/models/{model}`), where clients seldom encode other characters.
  private static func check(_ name: String) throws(UsageError) {
    let isTaken = name.unicodeScalars.allSatisfy { scalar in
      switch scalar {
      case "A"..."Z", "a"..."z", "0"..."9", ".", "_", "-", ":", "@", "+": true
      default: false
      }
    }
    guard !name.isEmpty, isTaken else {
      throw UsageError(
        "'\(name)' cannot be a model's name: names have ASCII letters, digits and the characters . _ - : @ + alone. "
          + "The path of a folder that has an = begins with / or ./")
    }
  }
}
