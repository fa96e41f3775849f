// What the handler's verdicts and answers do to a connection, and what waits to be sent.

extension ConnectionState {
  /// The handler's verdict on the head that `admit` carried.
  public mutating func admitted(_ admission: Admission, with serializer: ResponseSerializer, now: UInt64) {
    switch admission {
    case .accept(let maxBodyBytes, let context): accept(maxBodyBytes: maxBodyBytes, context: context, now: now)
    case .reject(let response), .answer(let response): answerUnread(response, with: serializer, now: now)
    }
  }

  /// The verdict `accept`.
  public mutating func accept(maxBodyBytes: Int, context: (any Sendable)?, now: UInt64) {
    precondition(phase == .admitting, "a verdict is due only after `admit`")
    handlerContext = context
    accept(maxBodyBytes: maxBodyBytes, now: now)
  }

  /// The verdicts `reject` and `answer`: the answer is given at once, and a body is dropped.
  public mutating func answerUnread(_ response: Response, with serializer: ResponseSerializer, now: UInt64) {
    precondition(phase == .admitting, "a verdict is due only after `admit`")
    reject(response, with: serializer, now: now)
  }

  /// The answer to what `handle` or `fail` carried. Ignored when none is due.
  public mutating func respond(_ response: Response, with serializer: ResponseSerializer, now: UInt64) {
    switch phase {
    case .handling:
      // When the input has ended and is used up, no request can follow.
      let isLast = inputEnded && inputStart == input.count
      isLastRequest = !persists
      write(response, closes: !persists || isDraining || isLast || response.closesConnection, serializer, now: now)
    case .failing:
      write(response, closes: true, serializer, now: now)
    default: break
    }
  }

  /// Answers without having read a request, and closes: for a connection that there is no room for.
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
        beginOutput(now: now)
        output.bytes.append("HTTP/1.1 100 Continue\r\n\r\n")
      }
      if inputEnded, phase == .body { throw .bad("the body ends before its time") }
    } catch {
      fail(error)
    }
  }

  private mutating func reject(_ response: Response, with serializer: ResponseSerializer, now: UInt64) {
    // A client that was waiting for 100 Continue may or may not send the body now, so that nobody can tell whether the
    // next byte belongs to the body. A client that does not wait sends it: a short body is dropped to keep the connection.
    let isInputUsedUp = inputStart == input.count
    let waits = expectsContinue && isInputUsedUp
    let discarding = waits ? nil : try? BodyDecoder(framing, limit: limits.maxDiscardBytes, keepsBytes: false)
    let closes = !persists || isDraining || response.closesConnection || inputEnded && isInputUsedUp
    if let head = head.take() { spares.giveBack(head) }
    isLastRequest = !persists && framing == .none
    write(response, closes: closes || discarding == nil, serializer, now: now)
    guard let discarding, !discarding.isDone, phase == .head else { return }
    decoder = discarding
    inputPace = Pace(now: now)
    phase = .discarding
  }

  private mutating func write(_ response: Response, closes: Bool, _ serializer: ResponseSerializer, now: UInt64) {
    beginOutput(now: now)
    // Only its end tells a client of HTTP/1.0 where such a body ends.
    let closes = closes || context.isHTTP10 && response.byteCount == nil
    context.closes = closes
    serializer.write(response, context, to: &output)
    phase = closes ? .closing : .head
    since = now
    if closes { body = [] }
  }

  /// Something is about to be put into the output.
  private mutating func beginOutput(now: UInt64) {
    guard !hasOutput else { return }
    outputPace = Pace(now: now)
    output.bytes = spares.takeOutput()
  }

  /// The stream whose next piece is to be made now, and given to ``streamed(_:now:)``. Asked for after an answer and after each
  /// piece that has come or been sent; nil when there is none, or when it has been asked for.
  public mutating func pieceWanted() -> BodyStream? { output.pieceWanted() }

  /// The piece that was asked for; nil when the rest cannot be made.
  public mutating func streamed(_ piece: [UInt8]?, now: UInt64) {
    guard output.isStreaming else { return }
    // While there was nothing to send, the client was not to blame for the pause.
    if !hasOutput { outputPace = Pace(now: now) }
    output.append(piece: piece)
    // Nothing may follow the part of a body.
    if output.isBroken, phase != .closed { phase = hasOutput ? .closing : .closed }
  }

  /// Lends the two parts that are to be sent next, in this order. Either may be empty.
  public func withOutput<Result>(_ send: (Span<UInt8>, Span<UInt8>) -> Result) -> Result { output.withParts(send) }

  /// The first `count` bytes of the output have been sent.
  public mutating func sent(_ count: Int, now: UInt64) {
    output.drop(count)
    if !hasOutput { spares.giveBack(output: &output.bytes) }
    outputPace.moved(count, now: now)
    guard !isSending else { return }
    if output.isBroken { phase = .closed }
    // The client has its answer: from here on the connection is idle.
    if phase == .head, !parser.hasBegun { since = now }
  }
}

/// Bytes that wait to be sent to one client: a run of small messages, then at most one long body that is not copied.
public struct OutputQueue: Sendable {
  /// Everything but a long body.
  var bytes: [UInt8] = []
  private var body: [UInt8] = []
  /// Bytes of `bytes` and `body` together that have been sent.
  private var sent = 0
  /// The piece of the stream behind the one in `body`.
  private var ahead: [UInt8] = []
  /// Makes the pieces that are still to come.
  private var stream: BodyStream?
  /// The next piece is being made.
  private var isAsked = false
  /// Bytes that the stream still owes; nil where it has no length of its own.
  private var owed: Int?
  /// Pieces are sent as chunks.
  private var isChunked = false
  /// A stream has ended too early: the body cannot be completed.
  private(set) var isBroken = false

  init() {}

  /// Bytes that wait to be sent next. A stream's piece counts when the one before has been sent.
  public var count: Int { bytes.count &+ body.count &- sent }

  /// True while a long body waits, because nothing can be put behind it.
  var isBlocked: Bool { !body.isEmpty || !ahead.isEmpty || stream != nil }

  /// True while pieces of a stream are still to come.
  public var isStreaming: Bool { stream != nil }

  mutating func append(body: [UInt8], inlineLimit: Int) {
    if body.count <= inlineLimit {
      bytes += body
    } else {
      self.body = body
    }
  }

  /// - Parameter inChunks: where the stream has no length of its own, send its pieces as chunks (RFC 9112, 7.1).
  mutating func append(stream: BodyStream, inChunks: Bool) {
    guard stream.count != 0 else { return }
    self.stream = stream
    owed = stream.count
    isChunked = stream.count == nil && inChunks
  }

  /// The stream, when its next piece is to be made: one piece may wait while another is sent.
  mutating func pieceWanted() -> BodyStream? {
    guard let stream, !isAsked, ahead.isEmpty else { return nil }
    isAsked = true
    return stream
  }

  /// - Parameter piece: nil when the rest cannot be made.
  mutating func append(piece: [UInt8]?) {
    precondition(isAsked, "a piece comes only when it was asked for")
    isAsked = false
    guard var piece else {
      (stream, isBroken) = (nil, true)
      return
    }
    let isEnd = piece.isEmpty
    if let owed {
      if piece.count > owed { piece.removeLast(piece.count &- owed) }
      self.owed = owed &- piece.count
      isBroken = isEnd
    } else if isChunked {
      piece = Self.chunk(piece)
    }
    if isEnd || owed == 0 { stream = nil }
    if body.isEmpty { body = piece } else { ahead = piece }
  }

  /// A piece as a chunk; an empty one is the last.
  private static func chunk(_ piece: [UInt8]) -> [UInt8] {
    var chunk: [UInt8] = []
    chunk.reserveCapacity(piece.count + 24)
    chunk += String(piece.count, radix: 16).utf8
    chunk.append("\r\n")
    chunk += piece
    chunk.append("\r\n")
    return chunk
  }

  /// Lends the two parts that are to be sent next, in this order. Either may be empty.
  func withParts<Result>(_ send: (Span<UInt8>, Span<UInt8>) -> Result) -> Result {
    if sent < bytes.count { return send(bytes.span.extracting(droppingFirst: sent), body.span) }
    return send(bytes.span.extracting(first: 0), body.span.extracting(droppingFirst: sent &- bytes.count))
  }

  /// Drops the first `amount` waiting bytes, which have been sent.
  mutating func drop(_ amount: Int) {
    precondition(0...count ~= amount, "only bytes that wait can have been sent")
    sent &+= amount
    guard sent >= bytes.count &+ body.count else { return }
    sent = 0
    body = ahead
    ahead = []
    bytes.removeAll(keepingCapacity: true)
  }
}
