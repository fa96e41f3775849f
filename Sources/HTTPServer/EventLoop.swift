import HTTP1

/// The one thread that owns all connections: waits for readiness, moves bytes, asks the handler, delivers answers.
final class EventLoop {
  static let listenerToken = UInt64.max
  static let wakeupToken = UInt64.max - 1
  /// Bytes one connection may receive before the others get their turn.
  private static let readBudget = 1 << 20

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
  private let scratch: UnsafeMutableRawBufferPointer
  /// Connections with output that was not tried yet.
  private var unsent: [Connection] = []
  /// Connections that used up their read budget.
  private var unread: [Connection] = []
  private var replies: [Reply] = []
  private var handedOver = 0

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
    now = Clock.monotonic()
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
    now = Clock.monotonic()
    serializer.renew(unixSeconds: Clock.unixSeconds())
    let waiting = unread
    unread.removeAll(keepingCapacity: true)
    for index in 0..<count {
      let event = poller[index]
      switch event.token {
      case Self.listenerToken: acceptBurst()
      case Self.wakeupToken: wakeup.clear()
      default: react(to: event)
      }
      settle()
    }
    for connection in waiting where connection.isOpen { serve(connection) }
    expireDeadlines()
    settle()
    if handedOver > 0 {
      handedOver = 0
      handler.endOfPass()
      settle()
    }
    return count > 0 || !waiting.isEmpty
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

  /// Reads what there is, within the budget, and acts on it.
  func serve(_ connection: Connection) {
    var budget = Self.readBudget
    while connection.isOpen, connection.isReadable, connection.state.wantsInput {
      guard budget > 0 else {
        unread.append(connection)
        break
      }
      switch connection.socket.receive(into: scratch) {
      case .bytes(let count):
        now = Clock.monotonic()
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

  /// Does what the state machine asks for until it has to wait.
  func advance(_ connection: Connection) {
    while connection.isOpen {
      switch connection.state.next(now: now) {
      case .admit(let head):
        connection.state.admitted(handler.admit(head), with: serializer, now: now)
      case .handle(let request):
        counters.requests.add(1)
        handedOver += 1
        connection.sequence &+= 1
        handler.handle(
          request,
          reply: Ticket(
            mailbox: mailbox, link: connection.link, token: connection.token, sequence: connection.sequence,
            receivedAt: now))
      case .fail(let failure, let head):
        counters.failures.add(1)
        connection.state.respond(answer(to: failure, head: head), with: serializer, now: now)
      case .finishSending:
        connection.socket.shutdownSending()
      case .wait:
        queueOutput(connection)
        return
      case .close:
        close(connection)
      }
    }
  }

  /// The handler's words for a failure, with the field the status calls for.
  func answer(to failure: RequestFailure, head: RequestHead?) -> Response {
    var response = handler.failureResponse(failure, head: head)
    if failure.status == 405, !response.fields.contains("Allow") {
      response.fields.append("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")
    }
    if failure.status == 503, !response.fields.contains("Retry-After") { response.fields.append("Retry-After", "1") }
    return response
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

  private func deliver(_ reply: Reply) {
    guard let connection = connections[reply.token], connection.sequence == reply.sequence else { return }
    let response =
      reply.response ?? answer(to: RequestFailure(status: 500, reason: "the request was not answered"), head: nil)
    connection.state.respond(response, with: serializer, now: now)
    advance(connection)
    serve(connection)
  }

  private func queueOutput(_ connection: Connection) {
    guard connection.isOpen, connection.state.hasOutput, connection.isWritable, !connection.isQueued else { return }
    connection.isQueued = true
    unsent.append(connection)
  }

  /// Sends until all is sent or the kernel has no room.
  private func flush(_ connection: Connection) {
    while connection.isOpen, connection.isWritable, connection.state.hasOutput {
      switch connection.state.output.withParts(connection.socket.send) {
      case .bytes(let count):
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
  private func arm(_ connection: Connection) {
    poller.await(
      connection.socket.descriptor, reading: !connection.isReadable && connection.state.wantsInput,
      writing: !connection.isWritable)
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
    guard unread.isEmpty, mailbox.prepareToSleep() else { return 0 }
    let next = min(deadlines.earliest ?? .max, latest ?? .max)
    guard next != .max else { return -1 }
    let clock = Clock.monotonic()
    guard next > clock else { return 0 }
    // Rounded up: waking a little early would spin until the deadline.
    return Int32(clamping: (next - clock) / 1_000_000 + 1)
  }
}
