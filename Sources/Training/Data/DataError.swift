/// Why a file of training texts cannot be used.
package struct DataError: Error, Sendable, Equatable, CustomStringConvertible {
  /// The path of the file, as the caller gave it.
  package let file: String
  /// The line at fault, counted from 1; nil where no single line is at fault.
  package let line: Int?
  package let message: String

  package init(_ file: String, line: Int? = nil, _ message: String) {
    self.file = file
    self.line = line
    self.message = message
  }

  package var description: String {
    guard let line else { return "\(file): \(message)" }
    return "\(file): line \(line): \(message)"
  }
}
