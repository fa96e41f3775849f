import JSON
import Platform

/// The files of a model folder in the Hugging Face layout.
public struct ModelFolder: Sendable {
  public let path: String

  public init(path: String) {
    self.path = path
  }

  /// The content of a file; nil when there is no such file.
  ///
  /// - Throws: ``FieldError`` naming the file when the system cannot read it.
  public func bytes(of name: String) throws(FieldError) -> [UInt8]? {
    do {
      // Room for the padding that the JSON parser wants, so that it need not copy.
      return try WholeFile.read("\(path)/\(name)", room: 64)
    } catch {
      if error.isMissing { return nil }
      throw FieldError(key: name, message: "cannot be read: \(error.message)")
    }
  }

  /// The value that a JSON file holds; nil when there is no such file.
  ///
  /// - Throws: ``FieldError`` naming the file when it cannot be read or is not valid JSON.
  public func json(_ name: String) throws(FieldError) -> JSONField? {
    guard let text = try bytes(of: name) else { return nil }
    return try JSONField(parsing: text, file: name)
  }

  /// The value of a JSON file that must be there.
  ///
  /// - Throws: ``FieldError`` naming the file when it is missing, cannot be read or is not valid JSON.
  public func requiredJSON(_ name: String) throws(FieldError) -> JSONField {
    guard let file = try json(name) else { throw FieldError(key: name, message: "is missing") }
    return file
  }
}
