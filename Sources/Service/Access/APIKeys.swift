import HTTP1
import Platform

/// The API keys that a service accepts. Their file can be read anew while it serves.
public final class APIKeys: Sendable {
  private let file: ReloadedFiles<KeyFile, KeyFileError>
  private let path: String

  /// - Throws: ``KeyFileError`` for a file that cannot be read or has a faulty line.
  public init(file path: String) throws(KeyFileError) {
    self.path = path
    file = try ReloadedFiles(
      read: { () throws(KeyFileError) in
        [try Self.content(path)]
      },
      make: { content throws(KeyFileError) in try KeyFile(content.first ?? [], path: path) })
  }

  /// The first key of a file, for those who use a service.
  ///
  /// - Throws: ``KeyFileError`` for a file that cannot be read, has no key or has a faulty line.
  public static func first(inFile path: String) throws(KeyFileError) -> String {
    try KeyFile.firstKey(try content(path), path: path)
  }

  private static func content(_ path: String) throws(KeyFileError) -> [UInt8] {
    do throws(WholeFile.Failure) {
      return try WholeFile.read(path)
    } catch {
      throw KeyFileError("\(path) cannot be read: \(error.message)")
    }
  }

  /// Reads the file anew.
  ///
  /// - Returns: true when it has changed and is used from now on.
  /// - Throws: ``KeyFileError`` when it cannot be used; the old keys stay. A failure that lasts is thrown again only where it was asked for.
  public func reload(isAsked: Bool = false) throws(KeyFileError) -> Bool { try file.reload(isAsked: isAsked) }

  /// What the operator should know of the file, without keys.
  public var warnings: [String] {
    var status = stat()
    let isOpen = stat(path, &status) == 0 && status.st_mode & S_IROTH != 0
    return (isOpen ? ["\(path) can be read by every user of this machine"] : []) + file.value.warnings
  }

  /// The names of the keys, each once.
  var names: [String] {
    var names: [String] = []
    for key in file.value.keys where !names.contains(key.name) { names.append(key.name) }
    return names
  }

  /// Who sends a request.
  func caller(of head: RequestHead) -> Caller {
    guard let given = Self.given(head.fields) else { return .nobody }
    guard let digest = KeyDigest(given.utf8) else { return .unchecked }
    var found = Caller.stranger
    // All are compared, so that the time tells nothing.
    for key in file.value.keys where key.digest.matches(digest) { found = .named(key.name, key.rights) }
    return found
  }

  /// The key that a request has (RFC 6750, 2.1; the scheme is compared case-insensitively). `X-Api-Key` counts where both fields are
  /// there, because a proxy may use `Authorization` for itself.
  private static func given(_ fields: HTTPFields) -> String? {
    if let key = fields["x-api-key"], !key.isEmpty { return key }
    guard let value = fields["authorization"], let space = value.firstIndex(of: " "),
      value[..<space].lowercased() == "bearer"
    else { return nil }
    let key = value[space...].drop { $0 == " " }
    return key.isEmpty ? nil : String(key)
  }
}
