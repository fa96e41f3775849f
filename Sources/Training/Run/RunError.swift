/// Why a training could not begin or go on, in words for the person who started it.
package struct RunError: Error, Sendable, Equatable, CustomStringConvertible {
  package let description: String

  package init(_ description: String) { self.description = description }
}
