import Glibc

/// A lock on a file that is open, which lasts until the descriptor is closed, whatever ends the process.
package enum FileLock {
  package enum Outcome: Sendable, Equatable {
    case taken
    /// Another process holds it.
    case held
    /// The system refuses, with this `errno`.
    case failed(Int32)
  }

  private static let attempts = 5
  private static let pauseMicroseconds: UInt32 = 20_000

  /// Takes the lock, alone or beside others that share it.
  ///
  /// A child that the owner of a lock has just forked holds it as well, until it runs another program. So a lock that is held is
  /// asked for again for a moment.
  package static func take(_ descriptor: Int32, shared: Bool = false) -> Outcome {
    var attempt = 1
    while flock(descriptor, (shared ? LOCK_SH : LOCK_EX) | LOCK_NB) != 0 {
      let reason = errno
      if reason == EINTR { continue }
      guard reason == EWOULDBLOCK else { return .failed(reason) }
      guard attempt < attempts else { return .held }
      attempt += 1
      usleep(pauseMicroseconds)
    }
    return .taken
  }
}
