import HTTP1
import Platform

// Bytes between the sockets and the connections' state machines.

extension EventLoop {
  /// Bytes one connection may receive before the others get their turn.
  private static let readBudget = 1 << 20
  /// Bytes of a streamed body one client may take before the others get their turn.
  private static let streamBudget = 1 << 20

  /// Reads what there is, within the budget, and acts on it.
  func serve(_ connection: Connection) {
    var budget = Self.readBudget
    while connection.isOpen, connection.isReadable, connection.state.wantsInput {
      guard budget > 0 else {
        if !connection.isUnread { unread.append(connection) }
        connection.isUnread = true
        break
      }
      switch connection.socket.receive(into: scratch) {
      case .bytes(let count):
        now = SystemClock.monotonic
        budget -= count
        counters.bytesReceived.add(count)
        // A short read has emptied the queue; only a known end is worth another call (epoll(7)).
        if count < scratch.count, !connection.isEndSeen { connection.isReadable = false }
        // SAFETY: the kernel has just written the first `count` bytes.
        let bytes = UnsafeRawBufferPointer(rebasing: scratch[..<count]).bindMemory(to: UInt8.self)
        connection.state.receive(bytes.span, now: now)
      case .end:
        connection.isReadable = false
        connection.state.receiveEnd(now: now)
      case .blocked:
        connection.isReadable = false
      case .broken:
        close(connection)
        return
      }
      advance(connection)
    }
    if connection.isOpen { arm(connection) }
  }

  /// Notes that the connection has something to send.
  func queueOutput(_ connection: Connection) {
    guard connection.isOpen, connection.state.hasOutput, connection.isWritable, !connection.isQueued else { return }
    connection.isQueued = true
    unsent.append(connection)
  }

  /// Sends until all is sent or the kernel has no room.
  func flush(_ connection: Connection) {
    var budget = Self.streamBudget
    while connection.isOpen, connection.isWritable, connection.state.hasOutput {
      if budget <= 0, connection.state.output.isStreaming {
        if !connection.isPostponed { postponed.append(connection) }
        connection.isPostponed = true
        break
      }
      switch connection.state.output.withParts(connection.socket.send) {
      case .bytes(let count):
        budget -= count
        counters.bytesSent.add(count)
        connection.state.sent(count, now: now)
      case .blocked, .end:
        connection.isWritable = false
      case .broken:
        close(connection)
      }
    }
    guard connection.isOpen else { return }
    if !connection.state.hasOutput { advance(connection) }
    serve(connection)
  }
}
