import HTTP1

/// One client as the loop sees it: a socket, the protocol's state, and what is known of the socket's readiness.
final class Connection {
  let socket: Socket
  let token: UInt64
  let link = ConnectionLink()
  // SAFETY: only the loop's thread touches a connection, and nothing called during an access comes back to it, so the
  // run-time check for overlapping accesses, a tenth of the time spent here, has nothing to find.
  @exclusivity(unchecked) var state: ConnectionState
  /// Edge-triggered reports come once; these remember them until the kernel says that it would block.
  var isReadable = false
  var isWritable = true
  /// The client's end is known to be behind the bytes still to be read.
  var isEndSeen = false
  var isOpen = true
  /// In the loop's list of connections with something to send.
  var isQueued = false
  /// In the loop's list of connections that have used up their read budget.
  var isUnread = false
  /// In the loop's list of connections whose streamed body goes on in the next pass.
  var isPostponed = false
  /// Number of the request in progress.
  var sequence: UInt64 = 0
  /// Earliest entry of the deadline queue that names this connection.
  var scheduled = UInt64.max

  init(socket: Socket, token: UInt64, state: ConnectionState) {
    self.socket = socket
    self.token = token
    self.state = state
  }
}
