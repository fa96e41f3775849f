import HTTP1
import Platform

/// One thread and the connections that it owns: it waits for readiness, moves bytes, asks the handler and delivers answers.
final class EventLoop {
  static let listenerToken = UInt64.max
  static let wakeupToken = UInt64.max - 1

  /// Events that are reacted to before what they have brought about is sent. Doing the same for many connections finds its
  /// instructions in the processor's cache.
  private static let batch = 16

  let configuration: ServerConfiguration
  let handler: any RequestHandler
  let makeTransport: @Sendable (_ descriptor: Int32) -> (any Transport)?
  let limits: ConnectionLimits
  let poller: Poller
  /// Nil where another loop of the group accepts.
  let listener: Listener?
  let group: LoopGroup
  /// Which loop of the group this is.
  let index: Int
  let mailbox: Mailbox
  let counters: Counters
  private let wakeup: Wakeup

  // SAFETY: as with `Connection.state`, only the loop's thread touches these, and nothing that is called during an access comes back.
  @exclusivity(unchecked) var connections = ConnectionTable()
  @exclusivity(unchecked) private var memoryWatch = MemoryWatch(from: 64)
  /// Connections whose clients have too many.
  var surplus = 0
  @exclusivity(unchecked) var deadlines = DeadlineQueue()
  @exclusivity(unchecked) var serializer = ResponseSerializer()
  var now: UInt64
  var isDraining = false
  var isAccepting = true
  var spareDescriptor: SpareDescriptor
  /// Where bytes are received, of whichever connection.
  let scratch: UnsafeMutableRawBufferPointer
  let spares = SpareBuffers()
  /// Connections with output that has not been tried yet.
  @exclusivity(unchecked) var unsent: [Connection] = []
  /// Connections that have used up their read budget of this pass.
  @exclusivity(unchecked) var unread: [Connection] = []
  /// Connections that have used up their budget of this pass for a streamed body.
  @exclusivity(unchecked) var postponed: [Connection] = []
  /// Connections whose handshakes are under way, in the order in which these began, and some that are done or closed.
  var handshakes: [UInt64] = []
  @exclusivity(unchecked) private var replies: [Reply] = []
  @exclusivity(unchecked) private var arrivals: [Arrival] = []
  /// Requests handed to the handler in this pass.
  var handedOver = 0

  init(
    configuration: ServerConfiguration, handler: any RequestHandler,
    transport makeTransport: @escaping @Sendable (_ descriptor: Int32) -> (any Transport)?, listener: Listener?,
    group: LoopGroup, index: Int
  ) throws(ServerError) {
    self.configuration = configuration
    self.handler = handler
    self.makeTransport = makeTransport
    self.listener = listener
    self.group = group
    self.index = index
    wakeup = group.links[index].wakeup
    mailbox = group.links[index].mailbox
    counters = group.links[index].counters
    limits = ConnectionLimits(configuration)
    poller = try Poller()
    now = SystemClock.monotonic
    spareDescriptor = SpareDescriptor()
    scratch = .allocate(byteCount: 262_144, alignment: 64)
    if let listener { try poller.add(listener: listener.descriptor, token: Self.listenerToken) }
    try poller.add(listener: wakeup.descriptor, token: Self.wakeupToken)
  }

  deinit {
    scratch.deallocate()
  }

  /// Runs until the group drains and nothing is in flight any more.
  ///
  /// - Returns: false when the drain time cut requests off.
  func run() throws(ServerError) -> Bool {
    // Whatever ends the run, no connection of the loop outlives it.
    defer { for connection in connections.all { close(connection) } }
    while !group.mustDrain(index) { _ = try pass(latest: nil) }

    beginDraining()
    let end = now &+ SystemClock.nanoseconds(configuration.drainTimeout)
    var isQuiet = false
    while now < end {
      let isSettled = connections.all.allSatisfy { $0.state.isSettled }
      let mayEnd = group.mayEnd(index, isSettled: isSettled) && isSettled
      // One more pass before the listener closes: what has reached the kernel by now is served too.
      if mayEnd, isQuiet { break }
      isQuiet = try !pass(latest: mayEnd ? now : end) && mayEnd
    }
    return !connections.all.contains { $0.state.isBusy }
  }

  private func beginDraining() {
    isDraining = true
    if index == 0 { group.beginDraining() }
    for connection in connections.all {
      connection.state.drain()
      advance(connection)
    }
    finishPass()
  }

  /// One pass: sleeps until `latest` at most, then does all that can be done. True when anything was ready.
  private func pass(latest: UInt64?) throws(ServerError) -> Bool {
    let count = try poller.wait(milliseconds: sleepMilliseconds(latest: latest))
    mailbox.wake()
    now = SystemClock.monotonic
    serializer.renew(unixSeconds: SystemClock.unixSeconds)
    var (waiting, streaming): ([Connection], [Connection]) = ([], [])
    swap(&waiting, &unread)
    swap(&streaming, &postponed)
    for index in 0..<count {
      let event = poller[index]
      switch event.token {
      case Self.listenerToken: acceptBurst()
      case Self.wakeupToken: wakeup.clear()
      default: react(to: event)
      }
      if (index &+ 1) % Self.batch == 0 { settle() }
    }
    settle()
    for connection in waiting where connection.isOpen {
      connection.isUnread = false
      receive(connection)
    }
    for connection in streaming where connection.isOpen {
      connection.isPostponed = false
      queueOutput(connection)
    }
    expireDeadlines()
    finishPass()
    return count > 0 || !waiting.isEmpty || !streaming.isEmpty
  }

  /// Settles, and tells the handler when it has been handed requests; again and again, since an answer that is given at
  /// the end of a pass may bring the next request of its connection.
  private func finishPass() {
    settle()
    while handedOver > 0 {
      handedOver = 0
      handler.endOfPass(loop: index)
      settle()
    }
  }

  private func react(to event: Poller.Event) {
    guard let connection = connections[event.token] else { return }
    guard !event.isGone else {
      close(connection)
      return
    }
    if event.isEnded { connection.transport.noteEnd() }
    connection.note(isReadable: event.isReadable, isWritable: event.isWritable)
    if connection.isFinishing { finishSending(connection) }
    queueOutput(connection)
    receive(connection)
  }

  /// Delivers answers and sends output until neither is left. An answer may bring the connection's next request, so that
  /// answers to pipelined requests are sent with one call.
  private func settle() {
    while true {
      mailbox.take(&replies, &arrivals)
      if !arrivals.isEmpty {
        for arrival in arrivals { open(arrival) }
        arrivals.removeAll(keepingCapacity: true)
      }
      if replies.isEmpty {
        guard let connection = unsent.popLast() else { return }
        connection.isQueued = false
        send(connection)
      } else {
        for reply in replies { deliver(reply) }
        replies.removeAll(keepingCapacity: true)
      }
    }
  }

  /// Closes the socket and forgets the connection. Answers that are still to come for it will be dropped.
  func close(_ connection: Connection) {
    guard connection.isOpen else { return }
    connection.isOpen = false
    connection.link.isAbandoned.store(true, ordering: .relaxed)
    noteLostBody(connection)
    // Counted first, so that a client that sees the end finds it in the metrics.
    counters.connectionsClosed.add(1)
    counters.connections.move(from: connection.activity, to: nil)
    connection.activity = nil
    connection.share?.end()
    connection.bodyHold = nil
    connection.answerHold = nil
    if connection.isSurplus { surplus -= 1 }
    if connection.handshakeEnds != nil {
      counters.handshakesOpen.add(-1)
      counters.handshakesFailed.add(1)
    }
    // The poller forgets a descriptor that is closed, since nobody else has it (epoll(7)).
    systemClose(connection.descriptor)
    connections.remove(connection.token)
    memoryWatch.note(connections.count)
  }

  /// Sees to it that the loop wakes up at the connection's deadline, when all is done for it that can be done now.
  func arm(_ connection: Connection) {
    noteActivity(connection)
    let deadline = min(
      connection.state.deadline, connection.handshakeEnds ?? .max, connection.proxyHeader?.ends ?? .max)
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
      // An entry that is not the connection's earliest has been replaced by that one. If it were followed as well, each
      // replacement would add an entry for ever.
      guard let connection = connections[entry.token], connection.scheduled == entry.time else { continue }
      connection.scheduled = .max
      if let end = connection.handshakeEnds, end <= now {
        counters.connections.timedOut(.handshake)
        close(connection)
        continue
      }
      if let pending = connection.proxyHeader, pending.ends <= now {
        counters.connections.timedOut(.proxyHeader)
        rejectProxyHeader(connection)
        continue
      }
      if let timeout = connection.state.expire(now: now) { counters.connections.timedOut(timeout) }
      advance(connection)
      receive(connection)
    }
  }

  private func sleepMilliseconds(latest: UInt64?) -> Int32 {
    guard unread.isEmpty, postponed.isEmpty, mailbox.prepareToSleep() else { return 0 }
    let next = min(deadlines.earliest ?? .max, latest ?? .max)
    guard next != .max else { return -1 }
    let clock = SystemClock.monotonic
    guard next > clock else { return 0 }
    // Rounded up, since a loop that wakes a little early would spin until the deadline.
    return Int32(clamping: (next - clock) / 1_000_000 + 1)
  }
}
