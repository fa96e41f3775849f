import HTTP1

// The loop's part in keeping the memory of bodies within bounds.

extension EventLoop {
  /// False when the connection is within a body for which there is no room. Reading goes on when there is.
  func mayRead(_ connection: Connection) -> Bool {
    if connection.isHeldBack { return false }
    guard connection.state.isReceivingBody, let hold = connection.bodyHold else { return true }
    let token = connection.token
    let mayRead = hold.mayRead { [mailbox] in mailbox.put(Reply(token: token, sequence: 0, content: .room)) }
    guard !mayRead else { return true }
    connection.isHeldBack = true
    connection.state.holdBack(now: now)
    return false
  }

  /// There is room again, or it is this connection's turn.
  func goOn(_ connection: Connection) {
    guard connection.isHeldBack else { return }
    connection.isHeldBack = false
    connection.state.goOn(now: now)
    receive(connection)
  }

  /// Takes note of what the connection holds of a body.
  func countBody(_ connection: Connection) {
    let bytes = connection.state.bodyByteCount
    guard bytes > 0 else {
      connection.bodyHold = nil
      return
    }
    let hold = connection.bodyHold ?? group.memory.hold()
    hold.set(.receiving, bytes)
    connection.bodyHold = hold
  }

  /// The body is whole and goes to the handler.
  ///
  /// - Returns: its memory; nil for an empty body.
  func handOverBody(_ connection: Connection, _ bytes: Int) -> BodyHold? {
    guard bytes > 0 else { return nil }
    let hold = connection.bodyHold.take() ?? group.memory.hold()
    hold.set(.handling, bytes)
    return hold
  }
}
