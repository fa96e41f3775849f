import Platform

/// The files of an export that one file cannot hold: `out-00001-of-00003.safetensors` and so on for `out.safetensors`, as
/// sharded models are named.
struct ShardNames {
  private let folder: String
  private let base: String
  private let ending: String

  init(_ path: String) {
    let name = path.split(separator: "/", omittingEmptySubsequences: false).last ?? ""
    folder = String(path.dropLast(name.count))
    let dot = name.lastIndex(of: ".").flatMap { $0 == name.startIndex ? nil : $0 } ?? name.endIndex
    base = String(name[..<dot])
    ending = String(name[dot...])
  }

  /// - Parameter number: from 1 to `count`.
  func path(_ number: Int, of count: Int) -> String {
    "\(folder)\(base)-\(Self.digits(number))-of-\(Self.digits(count))\(ending)"
  }

  /// The files that are there: those of one export, in order.
  ///
  /// - Returns: nothing when there is none.
  /// - Throws: when one is missing, or when there are files of several exports.
  func found() throws(CommandError) -> [String] {
    let names = Folder.names(in: folder.isEmpty ? "." : folder) ?? []
    let counts = Set(names.compactMap(count)).sorted()
    guard let count = counts.first else { return [] }
    let paths = (1...count).map { path($0, of: count) }
    guard counts.count == 1 else {
      throw CommandError(
        "\(counts.map { path(1, of: $0) }.joined(separator: " and ")) are of different exports: remove one of them")
    }
    let here = Set(names.map { folder + $0 })
    if let missing = paths.first(where: { !here.contains($0) }) {
      throw CommandError("\(missing) is missing; the other files of that export are there")
    }
    return paths
  }

  /// What a file's name says about how many there are; nil when it is not a name of ours.
  private func count(_ name: String) -> Int? {
    guard name.hasPrefix("\(base)-"), name.hasSuffix(ending) else { return nil }
    let parts = name.dropFirst(base.count + 1).dropLast(ending.count).split(separator: "-")
    guard parts.count == 3, parts[1] == "of", let number = Int(parts[0]), let count = Int(parts[2]),
      count > 0, (1...count).contains(number), folder + name == path(number, of: count)
    else { return nil }
    return count
  }

  /// Five digits, more for more files.
  private static func digits(_ number: Int) -> String {
    let text = String(number)
    return String(repeating: "0", count: max(0, 5 - text.count)) + text
  }
}
