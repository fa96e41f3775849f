import Dispatch
import Platform

/// Reads files anew that an operator may replace while the service runs: on SIGHUP, and when they have changed.
///
/// They are looked at every two seconds instead of being watched by the kernel: Kubernetes replaces a symbolic link two
/// levels above a file, and a network file system reports nothing.
struct Reloading {
  /// What is read anew, and how: true when it has changed. A failure that lasts is thrown again only when an operator has asked.
  typealias Source = (name: String, reload: @Sendable (_ isAsked: Bool) throws -> Bool)

  private static let period = 2

  private let signals = Signals()
  // A released source no longer fires.
  private let timer: (any DispatchSourceTimer)?

  /// - Parameter sources: nothing is done where there are none; SIGHUP ends the process then, as usual.
  init(_ log: Log, _ sources: [Source]) {
    guard !sources.isEmpty else {
      timer = nil
      return
    }
    let queue = DispatchQueue(label: "nearfar.reloading")
    @Sendable func reload(isAsked: Bool) -> Bool {
      var hasChanged = false
      for source in sources {
        do {
          guard try source.reload(isAsked) else { continue }
          hasChanged = true
          log.info("the \(source.name) has changed and is used from now on")
        } catch {
          hasChanged = true
          log.error("the \(source.name) stays as it was: \(error)")
        }
      }
      return hasChanged
    }
    signals.handle([SIGHUP], on: queue) { _ in
      if !reload(isAsked: true) { log.info("SIGHUP: no file has changed") }
    }
    let timer = DispatchSource.makeTimerSource(queue: queue)
    timer.schedule(
      deadline: .now() + .seconds(Self.period), repeating: .seconds(Self.period), leeway: .milliseconds(500))
    timer.setEventHandler { _ = reload(isAsked: false) }
    timer.resume()
    self.timer = timer
  }
}
