// What the client's bytes do to a connection.

extension ConnectionState {
  /// The connection can carry requests from now on: the idle time begins.
  public mutating func established(now: UInt64) {
    if phase == .head, !parser.hasBegun { since = now }
  }

  /// Bytes from the client.
  public mutating func receive(_ bytes: Span<UInt8>, now: UInt64) {
    inputPace.moved(bytes.count, now: now)
    switch phase {
    case .body:
      // Straight from the receive buffer into the body: a long body is copied only this once.
      readBody(bytes)
    case .lingering:
      lingered &+= bytes.count
      if lingered > limits.maxLingerBytes { phase = .closed }
    case .closing, .closed: break
    case .head where inputStart == input.count && mayBeginRequest && !bytes.isEmpty:
      // Mostly a whole request has come, whose head need not be copied first.
      let used = parse(bytes, now: now)
      if used < bytes.count { buffer(bytes.extracting(droppingFirst: used)) }
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

  private mutating func buffer(_ bytes: Span<UInt8>) {
    if inputStart > input.count / 2 {
      input.removeFirst(inputStart)
      inputStart = 0
    }
    input.append(copying: bytes)
  }

  /// Decodes bytes of the body. Those behind its end go to the input buffer.
  private mutating func readBody(_ bytes: Span<UInt8>) {
    var decoder = takeDecoder()
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
    guard inputStart < input.count else { return }
    var decoder = takeDecoder()
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
    guard inputStart < input.count else { return }
    var decoder = takeDecoder()
    switch decoder.decode(input, from: inputStart, into: &body) {
    case .partial:
      self.decoder = decoder
      dropInput()
    case .bad:
      // The request has been answered already; a second answer would belong to no request.
      phase = .closing
    case .consumed(let count):
      consume(count)
      phase = .head
      since = now
    }
  }

  private mutating func takeDecoder() -> BodyDecoder {
    guard let taken = decoder.take() else { preconditionFailure("a body is read without a decoder") }
    return taken
  }
}
