import HTTP1
import Platform

/// The one thread that owns all connections: waits for readiness, moves bytes, asks the handler, delivers answers.
final class EventLoop {
  static let listenerToken = UInt64.max
  static let wakeupToken = UInt64.max - 1

  let configuration: ServerConfiguration
  let handler: any RequestHandler
  let limits: ConnectionLimits
  let poller: Poller
  let listener: Listener
  let wakeup: Wakeup
  let mailbox: Mailbox
  let counters: Counters

  var connections = ConnectionTable()
  var deadlines = DeadlineQueue()
  var serializer = ResponseSerializer()
  var now: UInt64
  var isDraining = false
  var isAccepting = true
  var spareDescriptor: SpareDescriptor
  let scratch: UnsafeMutableRawBufferPointer
  /// Connections with output that was not tried yet.
  var unsent: [Connection] = []
  /// Connections that used up their read budget.
  var unread: [Connection] = []
  /// Connections that have had their share of this pass for a streamed body.
  var postponed: [Connection] = []
  private var replies: [Reply] = []
  /// Requests handed to the handler in this pass.
  var handedOver = 0

  init(
    configuration: ServerConfiguration, handler: any RequestHandler, listener: Listener, wakeup: Wakeup,
    mailbox: Mailbox, counters: Counters
  ) throws(ServerError) {
    self.configuration = configuration
    self.handler = handler
    self.listener = listener
    self.wakeup = wakeup
    self.mailbox = mailbox
    self.counters = counters
    limits = ConnectionLimits(configuration)
    poller = try Poller()
    now = SystemClock.monotonic
    spareDescriptor = SpareDescriptor()
    scratch = .allocate(byteCount: 262_144, alignment: 64)
    try poller.add(listener: listener.descriptor, token: Self.listenerToken)
    try poller.add(listener: wakeup.descriptor, token: Self.wakeupToken)
  }

  deinit {
    scratch.deallocate()
  }

  /// One pass: sleep until `latest` at most, then do all that can be done. True when anything was ready.
  func pass(latest: UInt64?) throws(ServerError) -> Bool {
    let count = try poller.wait(milliseconds: sleepMilliseconds(latest: latest))
    now = SystemClock.monotonic
    serializer.renew(unixSeconds: SystemClock.unixSeconds)
    let waiting = unread
    unread.removeAll(keepingCapacity: true)
    let streaming = postponed
    postponed.removeAll(keepingCapacity: true)
    for index in 0..<count {
      let event = poller[index]
      switch event.token {
      case Self.listenerToken: acceptBurst()
      case Self.wakeupToken: wakeup.clear()
      default: react(to: event)
      }
      settle()
    }
    for connection in waiting where connection.isOpen {
      connection.isUnread = false
      serve(connection)
    }
    for connection in streaming where connection.isOpen {
      connection.isPostponed = false
      queueOutput(connection)
    }
    expireDeadlines()
    finishPass()
    return count > 0 || !waiting.isEmpty || !streaming.isEmpty
  }

  /// Settles, and tells the handler when it has been handed requests: again and again, since an answer given at the end
  /// of a pass may bring the next request of its connection.
  func finishPass() {
    settle()
    while handedOver > 0 {
      handedOver = 0
      handler.endOfPass()
      settle()
    }
  }

  private func react(to event: Readiness) {
    guard let connection = connections[event.token] else { return }
    guard !event.isGone else {
      close(connection)
      return
    }
    if event.isReadable { connection.isReadable = true }
    if event.isEnded { connection.isEndSeen = true }
    if event.isWritable, !connection.isWritable {
      connection.isWritable = true
      queueOutput(connection)
    }
    serve(connection)
  }

  /// Delivers answers and sends output until neither is left: an answer may bring the connection's next request, and
  /// answers to pipelined requests go out with one call.
  func settle() {
    while true {
      mailbox.take(&replies)
      if replies.isEmpty {
        guard let connection = unsent.popLast() else { return }
        connection.isQueued = false
        flush(connection)
      } else {
        for reply in replies { deliver(reply) }
        replies.removeAll(keepingCapacity: true)
      }
    }
  }

  /// Closes the socket and forgets the connection; answers still under way for it are dropped.
  func close(_ connection: Connection) {
    guard connection.isOpen else { return }
    connection.isOpen = false
    connection.link.isAbandoned.store(true, ordering: .relaxed)
    poller.remove(connection.socket.descriptor)
    connection.socket.close()
    connections.remove(connection.token)
    counters.connectionsOpen.add(-1)
  }

  /// Sees to it that the loop wakes for the connection.
  func arm(_ connection: Connection) {
    let deadline = connection.state.deadline
    if deadline < connection.scheduled {
      connection.scheduled = deadline
      deadlines.push(DeadlineQueue.Entry(time: deadline, token: connection.token))
    }
  }

  private func expireDeadlines() {
    while let entry = deadlines.pop(before: now) {
      if entry.token == Self.listenerToken {
        resumeAccepting()
        continue
      }
      // An entry that is not the connection's earliest was overtaken by another; it must not breed.
      guard let connection = connections[entry.token], connection.scheduled == entry.time else { continue }
      connection.scheduled = .max
      connection.state.expire(now: now)
      advance(connection)
      if connection.isOpen { arm(connection) }
    }
  }

  private func sleepMilliseconds(latest: UInt64?) -> Int32 {
    guard unread.isEmpty, postponed.isEmpty, mailbox.prepareToSleep() else { return 0 }
    let next = min(deadlines.earliest ?? .max, latest ?? .max)
    guard next != .max else { return -1 }
    let clock = SystemClock.monotonic
    guard next > clock else { return 0 }
    // Rounded up: waking a little early would spin until the deadline.
    return Int32(clamping: (next - clock) / 1_000_000 + 1)
  }
}
