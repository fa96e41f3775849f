import CLinux
import Platform

/// Readiness by epoll(7).
///
/// Connections are registered once, edge-triggered: a request costs no `epoll_ctl`, and a client that has ended its side
/// does not wake the loop again and again. In exchange, each connection remembers what it waits for.
final class Poller {
  /// What the kernel reports of one descriptor.
  struct Event {
    /// As given when the descriptor was added.
    var token: UInt64
    /// Bytes, an end or an error can be read.
    var isReadable: Bool
    var isWritable: Bool
    /// The client has ended its side. It may still read.
    var isEnded: Bool
    /// Reset, failed, or ended on both sides.
    var isGone: Bool
  }

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
    if epoll >= 0 { systemClose(epoll) }
  }

  /// Watches a listener or a wake-up for reading, level-triggered.
  func add(listener descriptor: Int32, token: UInt64) throws(ServerError) {
    let result = clinux_epoll_add_listener(epoll, descriptor, token)
    guard result == 0 else { throw Self.failure("epoll_ctl", -result) }
  }

  /// Watches a connection in both directions, edge-triggered. False when the kernel has no memory for that.
  func add(connection descriptor: Int32, token: UInt64) -> Bool {
    clinux_epoll_add_connection(epoll, descriptor, token) == 0
  }

  func remove(_ descriptor: Int32) {
    _ = clinux_epoll_remove(epoll, descriptor)
  }

  /// Sleeps until something is ready or the time is over; -1 is for ever. Returns the number of events.
  func wait(milliseconds: Int32) throws(ServerError) -> Int {
    let count = clinux_epoll_wait(epoll, events, Self.capacity, milliseconds)
    guard count >= 0 else { throw Self.failure("epoll_wait", -count) }
    return Int(count)
  }

  /// One event of the last `wait`; `index` is below what it returned.
  subscript(index: Int) -> Event {
    precondition(0..<Int(Self.capacity) ~= index, "only an event that `wait` has counted is there")
    // SAFETY: checked above.
    let event = events[index]
    return Event(
      token: event.token, isReadable: event.readable != 0, isWritable: event.writable != 0,
      isEnded: event.ended != 0, isGone: event.gone != 0)
  }

  private static func failure(_ operation: String, _ code: Int32) -> ServerError {
    ServerError(operation: operation, code: code, message: systemMessage(code))
  }
}

/// Ends the loop's sleep from another thread or from a signal handler.
final class Wakeup: Sendable {
  /// Readable after `signal`.
  let descriptor: Int32

  init() throws(ServerError) {
    descriptor = clinux_eventfd()
    guard descriptor >= 0 else {
      throw ServerError(operation: "eventfd", code: -descriptor, message: systemMessage(-descriptor))
    }
  }

  deinit { systemClose(descriptor) }

  func signal() { clinux_eventfd_signal(descriptor) }

  func clear() { clinux_eventfd_clear(descriptor) }
}
