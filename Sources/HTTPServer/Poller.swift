import CLinux
import Platform

/// Readiness by epoll(7).
///
/// Connections are edge-triggered and registered once: a request costs no `epoll_ctl`, and a client that half-closed
/// does not wake the loop again and again. In exchange the loop remembers what is readable and writable.
final class Poller {
  private let epoll: Int32
  private let events: UnsafeMutablePointer<clinux_event>
  private static let capacity: Int32 = 256

  init() throws(ServerError) {
    epoll = clinux_epoll_create()
    events = .allocate(capacity: Int(Self.capacity))
    guard epoll >= 0 else { throw Self.failure("epoll_create1", -epoll) }
  }

  deinit {
    events.deallocate()
    if epoll >= 0 { Socket(descriptor: epoll).close() }
  }

  /// Level-triggered reading: listeners and wake-ups.
  func add(listener descriptor: Int32, token: UInt64) throws(ServerError) {
    let result = clinux_epoll_add_listener(epoll, descriptor, token)
    guard result == 0 else { throw Self.failure("epoll_ctl", -result) }
  }

  /// False when the kernel has no memory for it.
  func add(connection descriptor: Int32, token: UInt64) -> Bool {
    clinux_epoll_add_connection(epoll, descriptor, token) == 0
  }

  func remove(_ descriptor: Int32) {
    _ = clinux_epoll_remove(epoll, descriptor)
  }

  /// Sleeps until something is ready or the time is over; -1 is for ever. Returns the number of reports.
  func wait(milliseconds: Int32) throws(ServerError) -> Int {
    let count = clinux_epoll_wait(epoll, events, Self.capacity, milliseconds)
    guard count >= 0 else { throw Self.failure("epoll_wait", -count) }
    return Int(count)
  }

  /// One report of the last `wait`; `index` is below what it returned.
  subscript(index: Int) -> Readiness {
    // SAFETY: `wait` returned more than `index`, and at most the capacity.
    let event = events[index]
    return Readiness(
      token: event.token, isReadable: event.readable != 0, isWritable: event.writable != 0,
      isEnded: event.ended != 0, isGone: event.gone != 0)
  }

  private static func failure(_ operation: String, _ code: Int32) -> ServerError {
    ServerError(operation: operation, code: code, message: systemMessage(code))
  }
}
