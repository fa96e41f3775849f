/// Why a checkpoint or a model cannot be written, read or used.
package struct CheckpointError: Error, Sendable, Equatable, CustomStringConvertible {
  /// The file or folder at fault; empty where there is none.
  package let path: String
  package let message: String
  /// Whether the hook of ``FileOperations`` stopped the work, as a signal would. Nothing is cleaned up then.
  let isStop: Bool

  package init(_ path: String, _ message: String) {
    self.init(path, message, isStop: false)
  }

  private init(_ path: String, _ message: String, isStop: Bool) {
    (self.path, self.message, self.isStop) = (path, message, isStop)
  }

  static func stopped(before operation: String) -> CheckpointError {
    CheckpointError("", "stopped before: \(operation)", isStop: true)
  }

  package var description: String { path.isEmpty ? message : "\(path): \(message)" }
}
