import HTTP1
import Platform

// What the loop does for one connection: accept it, take its requests, give it the answers, move its bytes.

extension EventLoop {
  /// Connections that are accepted in a row.
  private static let burst = 64
  /// Connections beyond `maxConnections` that may wait for their 503 to be sent.
  private static let overflow = 64
  /// How long the listener rests when there are no descriptors left, in nanoseconds.
  private static let pause: UInt64 = 100_000_000

  /// Accepts waiting connections, some at a time: the listener is level-triggered and will report the rest again.
  func acceptBurst() {
    guard let listener else { return }
    for _ in 0..<Self.burst {
      switch listener.accept() {
      case .accepted(let descriptor, let client):
        place(descriptor, client)
      case .none:
        return
      case .exhausted:
        // The listener is level-triggered and would wake the loop again at once, so it is left alone for a while. Before
        // that, one connection is closed by means of the spare descriptor, so that its client learns of it.
        if spareDescriptor.shed(listener) { counters.connectionsRejected.add(1) }
        pauseAccepting()
        return
      }
    }
  }

  /// Gives an accepted socket to one of the loops.
  private func place(_ descriptor: Int32, _ client: SocketAddress?) {
    counters.connectionsAccepted.add(1)
    let count = group.connectionsOpen
    guard count < configuration.maxConnections + Self.overflow else {
      counters.connectionsRejected.add(1)
      systemClose(descriptor)
      return
    }
    let arrival = Arrival(
      descriptor: descriptor, client: client, isBeyondLimit: count >= configuration.maxConnections)
    let target = group.place()
    if target == index { open(arrival) } else { group.links[target].mailbox.put(arrival) }
  }

  /// Makes a connection of an accepted socket.
  func open(_ arrival: Arrival) {
    let descriptor = arrival.descriptor
    guard let transport = makeTransport(descriptor) else {
      counters.connectionsRejected.add(1)
      systemClose(descriptor)
      counters.connectionsClosed.add(1)
      return
    }
    let connection = connections.insert { token in
      Connection(
        descriptor: descriptor, client: arrival.client, transport: transport, token: token,
        state: ConnectionState(
          limits: limits, mayCloseAtOnce: transport.mayCloseAtOnce, spares: spares, now: now))
    }
    connection.isBeyondLimit = arrival.isBeyondLimit
    guard poller.add(connection: descriptor, token: connection.token) else {
      counters.connectionsRejected.add(1)
      close(connection)
      return
    }
    if configuration.proxyProtocol {
      connection.proxyHeader = PendingProxyHeader(ends: now &+ limits.headTimeout)
    } else {
      begin(connection)
    }
    // The request has often come with the connection, and then receiving at once saves a turn of the loop.
    receive(connection)
  }

  /// Begins to serve the connection, or to refuse it, when it is known whose it is.
  func begin(_ connection: Connection) {
    if let shares = group.shares, let ip = connection.ip {
      connection.share = shares.take(ip.subscriber)
      if connection.share == nil {
        counters.connectionsOfBusyClients.add(1)
        // Those who are told so have to be waited for until they have read it. They must not take the place of others.
        guard surplus < group.part(of: Self.overflow, index) else { return close(connection) }
        surplus += 1
        connection.isSurplus = true
      }
    }
    if !connection.transport.isEstablished { beginHandshake(connection) }
    if isDraining { connection.state.drain() }
    if let failure = refusal(of: connection) {
      connection.state.refuse(answer(to: failure, head: nil, connection), with: serializer, now: now)
      // The socket has just been added to the poller, which reports what has come, unless a header has been received from it.
      if !configuration.proxyProtocol { connection.receiveWaits = .readable }
    }
    connection.state.established(now: now)
    advance(connection)
  }

  /// Why the connection is not served.
  private func refusal(of connection: Connection) -> RequestFailure? {
    if connection.isSurplus {
      return RequestFailure(
        status: 429, reason: "more than \(configuration.maxConnectionsPerClient) connections of one client")
    }
    guard connection.isBeyondLimit else { return nil }
    counters.connectionsRejected.add(1)
    return RequestFailure(status: 503, reason: "more than \(configuration.maxConnections) connections")
  }

  private func pauseAccepting() {
    guard isAccepting, let listener else { return }
    isAccepting = false
    poller.remove(listener.descriptor)
    deadlines.push(DeadlineQueue.Entry(time: now + Self.pause, token: Self.listenerToken))
  }

  func resumeAccepting() {
    guard !isAccepting, let listener else { return }
    do throws(ServerError) {
      try poller.add(listener: listener.descriptor, token: Self.listenerToken)
      isAccepting = true
    } catch {
      deadlines.push(DeadlineQueue.Entry(time: now + Self.pause, token: Self.listenerToken))
    }
  }
}

extension EventLoop {
  /// Does what the state machine asks for until it has to wait.
  func advance(_ connection: Connection) {
    askForPiece(connection)
    while connection.isOpen {
      switch connection.state.next(now: now) {
      case .admit(let head):
        switch handler.admit(head, from: connection.peer) {
        case .accept(let most, let context):
          // A body that could never be held is refused as one that is too long.
          connection.state.accept(maxBodyBytes: min(most, group.memory.limit), context: context, now: now)
        case .reject(let response):
          connection.state.answerUnread(response, with: serializer, now: now)
        case .answer(let response):
          counters.requests.add(1)
          connection.state.answerUnread(response, with: serializer, now: now)
        }
      case .handle(var request):
        request.peer = connection.peer
        request.loop = index
        counters.requests.add(1)
        handedOver += 1
        connection.sequence &+= 1
        handler.handle(
          request,
          reply: Ticket(
            mailbox: mailbox, link: connection.link, token: connection.token, sequence: connection.sequence,
            receivedAt: now, memory: group.memory, hold: handOverBody(connection, request.body.count)))
      case .fail(let failure, let head):
        counters.failures.add(1)
        connection.state.respond(answer(to: failure, head: head, connection), with: serializer, now: now)
      case .finishSending:
        finishSending(connection)
      case .wait:
        countBody(connection)
        queueOutput(connection)
        return
      case .close:
        close(connection)
      }
    }
  }

  /// The handler's answer to a failure, with the field that the status calls for.
  private func answer(to failure: RequestFailure, head: RequestHead?, _ connection: Connection) -> Response {
    var response = handler.failureResponse(failure, head: head, from: connection.peer)
    if failure.status == 405, !response.fields.contains("Allow") {
      response.fields.append("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")
    }
    if failure.status == 503 || failure.status == 429, !response.fields.contains("Retry-After") {
      response.fields.append("Retry-After", "1")
    }
    return response
  }

  /// Lets the handler know of a request whose connection has broken within its body. Nobody will get an answer.
  func noteLostBody(_ connection: Connection) {
    guard let head = connection.state.headOfBody else { return }
    let failure = RequestFailure(status: RequestFailure.clientGone, reason: "the connection broke within the body")
    _ = handler.failureResponse(failure, head: head, from: connection.peer)
  }

  /// Gives what has come from a handler to its connection, if that still waits for it.
  func deliver(_ reply: Reply) {
    guard let connection = connections[reply.token] else { return }
    if case .room = reply.content { return goOn(connection) }
    guard connection.sequence == reply.sequence else { return }
    switch reply.content {
    case .room: break
    case .answer(let response):
      connection.answerHold = reply.hold
      connection.state.respond(response, with: serializer, now: now)
    case .dropped:
      let failure = RequestFailure(status: 500, reason: "the request was not answered")
      connection.state.respond(answer(to: failure, head: nil, connection), with: serializer, now: now)
    case .piece(let piece):
      connection.state.streamed(piece, now: now)
    }
    advance(connection)
    receive(connection)
  }

  /// Has the next piece of a streamed body made, when it is time for that.
  func askForPiece(_ connection: Connection) {
    guard let stream = connection.state.pieceWanted() else { return }
    let (token, sequence) = (connection.token, connection.sequence)
    stream.next { [mailbox] piece in
      mailbox.put(Reply(token: token, sequence: sequence, content: .piece(piece)))
    }
  }
}

extension EventLoop {
  /// Bytes that one connection may receive before the others get their turn.
  private static let readBudget = 1 << 20
  /// Bytes of a streamed body that one client may take before the others get their turn.
  private static let streamBudget = 1 << 20

  /// Receives what there is, within the budget, and acts on it.
  func receive(_ connection: Connection) {
    if connection.proxyHeader != nil, !receiveProxyHeader(connection) {
      if connection.isOpen { arm(connection) }
      return
    }
    var budget = Self.readBudget
    while connection.isOpen, connection.receiveWaits == nil, connection.state.wantsInput, mayRead(connection) {
      guard budget > 0 else {
        if !connection.isUnread { unread.append(connection) }
        connection.isUnread = true
        break
      }
      switch connection.transport.receive(into: scratch) {
      case .bytes(let count, let isDrained):
        precondition(1...scratch.count ~= count, "a transport receives into its buffer")
        now = SystemClock.monotonic
        budget -= count
        counters.bytesReceived.add(count)
        if isDrained { connection.receiveWaits = .readable }
        // SAFETY: the transport has just written the first `count` bytes.
        let bytes = UnsafeRawBufferPointer(rebasing: scratch[..<count]).bindMemory(to: UInt8.self)
        connection.state.receive(bytes.span, now: now)
      case .end:
        connection.receiveWaits = .readable
        connection.state.receiveEnd(now: now)
      case .blocked(let readiness):
        connection.receiveWaits = readiness
      case .notSecured:
        let failure = RequestFailure(status: 400, reason: "this port speaks TLS: the URL has to begin with https://")
        counters.failures.add(1)
        connection.state.refuse(answer(to: failure, head: nil, connection), with: serializer, now: now)
      case .broken:
        close(connection)
        return
      }
      if connection.handshakeEnds != nil { noteHandshake(connection) }
      advance(connection)
    }
    // What waits to be sent is sent before the pass ends, and all of this is done behind that.
    if connection.isOpen, !connection.isQueued { arm(connection) }
  }

  /// Notes that the connection has something to send.
  func queueOutput(_ connection: Connection) {
    guard connection.isOpen, connection.sendWaits == nil, connection.state.hasOutput, !connection.isQueued else {
      return
    }
    connection.isQueued = true
    unsent.append(connection)
  }

  /// Sends until all is sent or the transport cannot go on.
  func send(_ connection: Connection) {
    var budget = Self.streamBudget
    while connection.isOpen, connection.sendWaits == nil, connection.state.hasOutput {
      if budget <= 0, connection.state.output.isStreaming {
        if !connection.isPostponed { postponed.append(connection) }
        connection.isPostponed = true
        break
      }
      switch connection.state.withOutput({ connection.transport.send($0, $1) }) {
      case .bytes(let count):
        budget -= count
        counters.bytesSent.add(count)
        connection.state.sent(count, now: now)
        askForPiece(connection)
      case .blocked(let readiness):
        connection.sendWaits = readiness
      case .broken:
        close(connection)
      }
    }
    guard connection.isOpen else { return }
    if connection.handshakeEnds != nil { noteHandshake(connection) }
    // Sending may have read bytes that receiving waits for, and the socket will not report those.
    if connection.receiveWaits != nil, connection.transport.holdsInput { connection.receiveWaits = nil }
    if !connection.state.isSending { connection.answerHold = nil }
    if !connection.state.hasOutput { advance(connection) }
    receive(connection)
  }

  /// Ends the sending side, unless the transport has to wait for that.
  func finishSending(_ connection: Connection) {
    connection.isFinishing = true
    guard connection.isOpen, connection.finishWaits == nil else { return }
    switch connection.transport.finishSending() {
    case .bytes: connection.isFinishing = false
    case .blocked(let readiness): connection.finishWaits = readiness
    case .broken: close(connection)
    }
  }
}

extension EventLoop {
  /// Handshakes that this loop may have under way. Those of one loop never crowd out those of another.
  private var maxHandshakes: Int {
    // Some connections are left to those that have finished theirs, and to those that come.
    let most = configuration.maxHandshakes ?? configuration.maxConnections - configuration.maxConnections / 8
    return max(1, group.part(of: most, index))
  }

  private func beginHandshake(_ connection: Connection) {
    counters.handshakesOpen.add(1)
    connection.handshakeEnds = now &+ SystemClock.nanoseconds(configuration.handshakeTimeout)
    handshakes.append(connection.token)
    let underWay = counters.handshakesOpen.load(ordering: .relaxed)
    guard underWay > maxHandshakes || handshakes.count > 2 * maxHandshakes + 64 else { return }
    handshakes.removeAll { connections[$0]?.handshakeEnds == nil }
    // Whoever opens connections and says nothing must not keep others out, so the oldest makes room: an honest client is
    // done within a few round trips.
    if underWay > maxHandshakes, let oldest = connections[handshakes.removeFirst()] { close(oldest) }
  }

  /// Sees whether the handshake is over.
  private func noteHandshake(_ connection: Connection) {
    guard connection.transport.isEstablished else { return }
    connection.handshakeEnds = nil
    counters.handshakesOpen.add(-1)
    guard let security = connection.transport.security else {
      counters.handshakesFailed.add(1)
      return
    }
    counters.handshakes.add(1)
    if security.isResumed { counters.handshakesResumed.add(1) }
    connection.state.established(now: now)
  }
}
