import HTTP1

extension EventLoop {
  private static let burst = 64
  /// Connections beyond `maxConnections` that may wait for their 503 to be sent.
  private static let overflow = 64
  private static let pause: UInt64 = 100_000_000

  /// Accepts what waits, some at a time: the listener is level-triggered and reports the rest again.
  func acceptBurst() {
    for _ in 0..<Self.burst {
      switch listener.accept() {
      case .accepted(let socket):
        open(socket)
      case .none:
        return
      case .exhausted:
        // Level-triggered, the listener would wake the loop for ever. One connection is shed with the spare descriptor
        // so that its client learns at once; then the listener rests.
        if spareDescriptor.shed(listener) { counters.connectionsRejected.add(1) }
        pauseAccepting()
        return
      }
    }
  }

  private func open(_ socket: Socket) {
    counters.connectionsAccepted.add(1)
    guard connections.count < configuration.maxConnections + Self.overflow else {
      counters.connectionsRejected.add(1)
      socket.close()
      return
    }
    let isRefused = connections.count >= configuration.maxConnections
    let state = ConnectionState(limits: limits, now: now)
    let connection = connections.insert { Connection(socket: socket, token: $0, state: state) }
    counters.connectionsOpen.add(1)
    socket.disableNagle()
    guard poller.add(connection: socket.descriptor, token: connection.token) else {
      counters.connectionsRejected.add(1)
      close(connection)
      return
    }
    if isDraining { connection.state.drain() }
    if isRefused {
      counters.connectionsRejected.add(1)
      let failure = RequestFailure(status: 503, reason: "more than \(configuration.maxConnections) connections")
      connection.state.refuse(answer(to: failure, head: nil), with: serializer, now: now)
    } else {
      // The request often comes with the connection; trying saves a turn.
      connection.isReadable = true
    }
    advance(connection)
    serve(connection)
  }

  private func pauseAccepting() {
    guard isAccepting else { return }
    isAccepting = false
    poller.remove(listener.descriptor)
    deadlines.push(DeadlineQueue.Entry(time: now + Self.pause, token: Self.listenerToken))
  }

  func resumeAccepting() {
    guard !isAccepting else { return }
    do throws(ServerError) {
      try poller.add(listener: listener.descriptor, token: Self.listenerToken)
      isAccepting = true
    } catch {
      deadlines.push(DeadlineQueue.Entry(time: now + Self.pause, token: Self.listenerToken))
    }
  }
}
