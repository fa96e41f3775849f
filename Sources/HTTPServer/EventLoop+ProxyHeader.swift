import CLinux
import HTTP1
import Platform

/// A header of the PROXY protocol that has not come to its end.
struct PendingProxyHeader {
  /// What has come of it.
  var bytes: [UInt8] = []
  /// When it is given up.
  let ends: UInt64
}

// The header comes before TLS, so that it is read from the socket itself, and never a byte more: what follows belongs to the transport.

extension EventLoop {
  /// Receives what there is of the header, and begins to serve the connection when that is all of it.
  ///
  /// The bytes are looked at before they are taken. As long as the header is not whole, all of them belong to it.
  ///
  /// - Returns: true when the connection is open and its header is done with.
  func receiveProxyHeader(_ connection: Connection) -> Bool {
    while connection.isOpen, let pending = connection.proxyHeader {
      guard connection.receiveWaits == nil else { return false }
      let room = min(scratch.count, ProxyHeader.longest - pending.bytes.count)
      // SAFETY: the kernel writes at most `room` bytes, which `scratch` has.
      let count = clinux_peek(connection.descriptor, scratch.baseAddress, room)
      guard count > 0 else {
        switch Int32(truncatingIfNeeded: -count) {
        case EAGAIN, EWOULDBLOCK: connection.receiveWaits = .readable
        // Who connects and says nothing has done nothing wrong: balancers check like this.
        case 0 where pending.bytes.isEmpty: close(connection)
        default: rejectProxyHeader(connection)
        }
        continue
      }
      let seen = pending.bytes + scratch[..<count]
      switch ProxyHeader.parse(seen) {
      case .partial:
        take(count, connection)
        connection.proxyHeader?.bytes = seen
      case .bad:
        rejectProxyHeader(connection)
      case .whole(let header):
        take(header.byteCount - pending.bytes.count, connection)
        connection.source = header.source
        connection.proxyHeader = nil
        if connection.isOpen { begin(connection) }
      }
    }
    return connection.isOpen
  }

  /// Takes bytes from the socket that have been looked at.
  private func take(_ count: Int, _ connection: Connection) {
    // SAFETY: they were there when they were looked at, in as many bytes of `scratch`.
    guard clinux_receive(connection.descriptor, scratch.baseAddress, count) == count else { return close(connection) }
  }

  /// Closes a connection without an answer: whoever does not speak the protocol is not the proxy.
  func rejectProxyHeader(_ connection: Connection) {
    counters.proxyHeadersRejected.add(1)
    close(connection)
  }
}
