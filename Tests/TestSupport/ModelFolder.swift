import Platform

/// The paths of the default model and of the repository.
public enum ModelFolder {
  /// The repository's top level.
  public static let repository = String(
    #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3).joined(separator: "/"))

  /// The value of `NEARFAR_MODEL`, or else `models/all-MiniLM-L6-v2`, which `make model` fetches.
  public static let path: String = {
    if let given = getenv("NEARFAR_MODEL") { return String(cString: given) }
    return "\(repository)/models/all-MiniLM-L6-v2"
  }()
}
