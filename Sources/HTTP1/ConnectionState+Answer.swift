// What the handler's verdicts and answers do to a connection.

extension ConnectionState {
  /// The handler's verdict on the head that `admit` carried.
  public mutating func admitted(_ admission: Admission, with serializer: ResponseSerializer, now: UInt64) {
    guard phase == .admitting else { return }
    switch admission {
    case .accept(let maxBodyBytes): accept(maxBodyBytes: maxBodyBytes, now: now)
    case .reject(let response): reject(response, with: serializer, now: now)
    }
  }

  /// The answer to what `handle` or `fail` carried. Ignored when none is due.
  public mutating func respond(_ response: Response, with serializer: ResponseSerializer, now: UInt64) {
    switch phase {
    case .handling:
      // With the input at its end and used up, no request can follow.
      let isLast = inputEnded && inputStart == input.count
      write(response, closes: !persists || isDraining || isLast || response.closesConnection, serializer, now: now)
    case .failing:
      write(response, closes: true, serializer, now: now)
    default: break
    }
  }

  /// Answers without having read a request, and closes: for a connection there is no room for.
  public mutating func refuse(_ response: Response, with serializer: ResponseSerializer, now: UInt64) {
    write(response, closes: true, serializer, now: now)
  }

  private mutating func accept(maxBodyBytes: Int, now: UInt64) {
    guard framing != .none else {
      phase = .complete
      return
    }
    do throws(RequestFailure) {
      decoder = try BodyDecoder(
        framing, limit: maxBodyBytes, maxTrailerBytes: limits.maxHeadBytes, maxTrailers: limits.maxFields)
      inputPace = Pace(now: now)
      phase = .body
      if inputStart < input.count {
        readBufferedBody()
      } else if expectsContinue, !inputEnded {
        if !hasOutput { outputPace = Pace(now: now) }
        output.bytes.append("HTTP/1.1 100 Continue\r\n\r\n")
      }
      if inputEnded, phase == .body { throw .bad("the body ends before its time") }
    } catch {
      fail(error)
    }
  }

  private mutating func reject(_ response: Response, with serializer: ResponseSerializer, now: UInt64) {
    // A client that was waiting for 100 Continue may or may not send the body now: nobody can tell what the next byte
    // is. Without the wait, a short body is read past to keep the connection.
    let isInputUsedUp = inputStart == input.count
    let waits = expectsContinue && isInputUsedUp
    let discarding = waits ? nil : try? BodyDecoder(framing, limit: limits.maxDiscardBytes, keepsBytes: false)
    let closes = !persists || isDraining || response.closesConnection || inputEnded && isInputUsedUp
    head = nil
    write(response, closes: closes || discarding == nil, serializer, now: now)
    guard let discarding, !discarding.isDone, phase == .head else { return }
    decoder = discarding
    inputPace = Pace(now: now)
    phase = .discarding
  }

  private mutating func write(_ response: Response, closes: Bool, _ serializer: ResponseSerializer, now: UInt64) {
    if !hasOutput { outputPace = Pace(now: now) }
    context.closes = closes
    serializer.write(response, context, to: &output)
    phase = closes ? .closing : .head
    since = now
    if closes { body = [] }
    // A stream without a first piece leaves its head alone to send; nothing may follow that.
    if output.isBroken { phase = .closing }
  }
}
