import Glibc

/// What a folder holds.
public enum Folder {
  /// The names in it, in no order; nil when it cannot be read.
  public static func names(in path: String) -> [String]? {
    guard let directory = opendir(path) else { return nil }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
      // SAFETY: the entry is valid until the next call; its name ends with a zero within the field.
      names.append(
        withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) })
    }
    return names
  }
}
