import Synchronization

/// A value that is made of the content of files, and made anew when an operator has replaced them.
public final class ReloadedFiles<Value: Sendable, Failure: Error & Equatable>: Sendable {
  /// The content of each file.
  public typealias Content = [[UInt8]]

  private struct State {
    var value: Value
    var content: Content
    /// Why the last reload failed.
    var failure: Failure?
  }

  private let read: @Sendable () throws(Failure) -> Content
  private let make: @Sendable (Content) throws(Failure) -> Value
  private let state: Mutex<State>

  /// - Throws: what `read` and `make` throw.
  public init(
    read: @escaping @Sendable () throws(Failure) -> Content,
    make: @escaping @Sendable (Content) throws(Failure) -> Value
  ) throws(Failure) {
    self.read = read
    self.make = make
    let content = try read()
    state = Mutex(State(value: try make(content), content: content))
  }

  public var value: Value { state.withLock { $0.value } }

  /// Reads the files anew.
  ///
  /// - Parameter isAsked: an operator has asked for it, and wants to know of a failure that lasts.
  /// - Returns: true when their content has changed and its value is used from now on.
  /// - Throws: when a file cannot be read, or when no value can be made of changed content; the old one stays in use. A failure that
  ///   lasts is thrown again only where it was asked for.
  public func reload(isAsked: Bool = false) throws(Failure) -> Bool {
    do throws(Failure) {
      let content = try read()
      guard state.withLock({ $0.content != content }) else {
        state.withLock { $0.failure = nil }
        return false
      }
      let value = try make(content)
      state.withLock { $0 = State(value: value, content: content) }
      return true
    } catch {
      let isKnown = state.withLock { state in
        defer { state.failure = error }
        return state.failure == error
      }
      if isKnown, !isAsked { return false }
      throw error
    }
  }
}
