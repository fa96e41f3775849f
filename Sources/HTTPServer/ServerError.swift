/// Why a server could not start or had to stop.
public struct ServerError: Error, Sendable, Equatable, CustomStringConvertible {
  /// What failed, for instance `bind 127.0.0.1:8080`.
  public var operation: String
  /// The system's error number; 0 where the system was not asked.
  public var code: Int32
  /// The reason in words.
  public var message: String

  public init(operation: String, code: Int32 = 0, message: String) {
    self.operation = operation
    self.code = code
    self.message = message
  }

  public var description: String { "\(operation): \(message)" }
}
