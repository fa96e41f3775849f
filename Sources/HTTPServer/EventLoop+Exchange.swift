import HTTP1

// Requests and answers between the connections' state machines and the handler.

extension EventLoop {
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

  /// Gives an answer to the connection it is for, if that still waits for it.
  func deliver(_ reply: Reply) {
    guard let connection = connections[reply.token], connection.sequence == reply.sequence else { return }
    let response =
      reply.response ?? answer(to: RequestFailure(status: 500, reason: "the request was not answered"), head: nil)
    connection.state.respond(response, with: serializer, now: now)
    advance(connection)
    serve(connection)
  }
}
