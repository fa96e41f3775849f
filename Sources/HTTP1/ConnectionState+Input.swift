// What the wire and the clock do to a connection.

extension ConnectionState {
  /// Bytes from the client.
  public mutating func receive(_ bytes: Span<UInt8>, now: UInt64) {
    inputPace.moved(bytes.count, now: now)
    switch phase {
    case .body:
      // Straight from the receive buffer into the body: the one copy a long body costs.
      readBody(bytes)
    case .lingering:
      lingered &+= bytes.count
      if lingered > limits.maxLingerBytes { phase = .closed }
    case .closing, .closed: break
    case .head where !parser.hasBegun && inputStart == input.count:
      since = now
      buffer(bytes)
    default:
      buffer(bytes)
    }
  }

  /// The client will send nothing more; it may still read (RFC 9112, 9.6).
  public mutating func receiveEnd(now: UInt64) {
    inputEnded = true
    switch phase {
    case .body: fail(.bad("the body ends before its time"))
    case .discarding: phase = .closing
    case .lingering: phase = .closed
    default: break
    }
  }

  /// The first `count` bytes of the output are sent.
  public mutating func sent(_ count: Int, now: UInt64) {
    output.drop(count)
    outputPace.moved(count, now: now)
    if output.isBroken, !hasOutput { phase = .closed }
  }

  /// No keep-alive from now on; what is in flight is finished.
  public mutating func drain() {
    isDraining = true
  }

  /// When `expire` has to be called; `.max` for never. May move at every other call.
  public var deadline: UInt64 {
    let own: UInt64 =
      switch phase {
      case .head where parser.hasBegun || inputStart < input.count: since.saturatingAdd(limits.headTimeout)
      case .head where isFirstRequest: since.saturatingAdd(limits.headTimeout)
      case .head: since.saturatingAdd(limits.idleTimeout)
      case .body, .discarding: inputPace.deadline(pause: limits.bodyTimeout, rate: limits.minimumBodyRate)
      case .lingering:
        min(inputPace.deadline(pause: limits.lingerPause, rate: 0), since.saturatingAdd(limits.lingerTimeout))
      default: .max
      }
    return hasOutput ? min(own, outputPace.deadline(pause: limits.writeTimeout, rate: 0)) : own
  }

  /// Acts on the deadline, if it has passed. `next` tells what to do.
  public mutating func expire(now: UInt64) {
    guard now >= deadline else { return }
    if hasOutput, now >= outputPace.deadline(pause: limits.writeTimeout, rate: 0) {
      phase = .closed
      return
    }
    switch phase {
    case .head where parser.hasBegun:
      context = ResponseSerializer.Context(isHead: parser.isHead)
      fail(RequestFailure(status: 408, reason: "the request head took too long"))
    case .body:
      fail(RequestFailure(status: 408, reason: "the body came too slowly"))
    case .discarding:
      phase = .closing
    default:
      phase = .closed
    }
  }

  private mutating func buffer(_ bytes: Span<UInt8>) {
    if inputStart > input.count / 2 {
      input.removeFirst(inputStart)
      inputStart = 0
    }
    input.append(copying: bytes)
  }

  /// Decodes body bytes; what follows the body's end goes to the input buffer.
  private mutating func readBody(_ bytes: Span<UInt8>) {
    guard var decoder = decoder.take() else { return }
    switch decoder.decode(bytes, into: &body) {
    case .partial:
      self.decoder = decoder
    case .bad(let failure):
      fail(failure)
    case .consumed(let count):
      phase = .complete
      if count < bytes.count { buffer(bytes.extracting(droppingFirst: count)) }
    }
  }

  /// Decodes what the input buffer holds of the body.
  mutating func readBufferedBody() {
    guard inputStart < input.count, var decoder = decoder.take() else { return }
    switch decoder.decode(input, from: inputStart, into: &body) {
    case .partial:
      self.decoder = decoder
      dropInput()
    case .bad(let failure):
      fail(failure)
    case .consumed(let count):
      phase = .complete
      consume(count)
    }
  }

  /// Drops what the input buffer holds of an unwanted body.
  mutating func discardInput(now: UInt64) {
    guard inputStart < input.count, var decoder = decoder.take() else { return }
    switch decoder.decode(input, from: inputStart, into: &body) {
    case .partial:
      self.decoder = decoder
      dropInput()
    case .bad:
      // Answered already; a second answer would belong to no request.
      phase = .closing
    case .consumed(let count):
      consume(count)
      phase = .head
      since = now
    }
  }
}
