import JSON
import Platform

/// The files of a model folder in the Hugging Face layout.
public struct ModelFolder: Sendable {
  public let path: String

  public init(path: String) {
    self.path = path
  }

  /// The content of the file `name`; nil when there is no such file.
  ///
  /// - Throws: ``FieldError`` naming the file when the system cannot read it.
  public func bytes(of name: String) throws(FieldError) -> [UInt8]? {
    do {
      // With room for the padding that the JSON parser needs, the content is parsed without being copied.
      return try WholeFile.read("\(path)/\(name)", room: 64)
    } catch {
      if error.isMissing { return nil }
      throw FieldError(key: name, message: "cannot be read: \(error.message)")
    }
  }

  /// The value of the JSON file `name`; nil when there is no such file.
  ///
  /// - Throws: ``FieldError`` naming the file when it cannot be read or is not valid JSON.
  public func json(_ name: String) throws(FieldError) -> JSONField? {
    guard let text = try bytes(of: name) else { return nil }
    return try JSONField(parsing: text, file: name)
  }

  /// The value of the JSON file `name`, which must exist.
  ///
  /// - Throws: ``FieldError`` naming the file when it is missing, cannot be read or is not valid JSON.
  public func requiredJSON(_ name: String) throws(FieldError) -> JSONField {
    guard let file = try json(name) else { throw FieldError(key: name, message: "is missing") }
    return file
  }
}
