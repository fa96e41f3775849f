import Platform

/// Where tests find the default model and files of the repository.
public enum ModelFolder {
  /// The repository's top level.
  public static let repository = String(
    #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3).joined(separator: "/"))

  /// `NEARFAR_MODEL`, else `models/all-MiniLM-L6-v2`, which `make model` fetches.
  public static let path: String = {
    if let given = getenv("NEARFAR_MODEL") { return String(cString: given) }
    return "\(repository)/models/all-MiniLM-L6-v2"
  }()
}
