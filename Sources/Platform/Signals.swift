import Dispatch
import Glibc

/// Signals that are handled on a queue of Dispatch, and do not end the process by themselves any more.
public final class Signals: Sendable {
  // SAFETY: this is written once, by `handle`. The sources are kept because a source that is released no longer handles
  // its signal.
  private nonisolated(unsafe) var sources: [any DispatchSourceSignal] = []

  public init() {}

  /// Handles signals from now on. To be called once.
  ///
  /// - Parameter action: takes the number of each signal that comes.
  public func handle(
    _ numbers: [Int32], on queue: DispatchQueue = .global(), _ action: @escaping @Sendable (Int32) -> Void
  ) {
    sources = numbers.map { number in
      signal(number, SIG_IGN)
      let source = DispatchSource.makeSignalSource(signal: number, queue: queue)
      source.setEventHandler { action(number) }
      source.resume()
      return source
    }
  }
}
