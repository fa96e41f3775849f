/// One HTTP/1.1 connection as a pure state machine: bytes, answers and the time go in, actions come out.
///
/// It knows no socket, no thread and no clock. Its driver repeats `next` until it says `wait` or `close`, sends what
/// `output` holds, and calls `expire` when `deadline` has passed. Requests are handled one at a time, so answers are in
/// order by construction; bytes of further requests wait, up to a bound.
public struct ConnectionState: Sendable {
  /// What the driver has to do next.
  public enum Action: Sendable {
    /// Ask the handler about the head, then call `admitted`.
    case admit(RequestHead)
    /// Hand the request over, and call `respond` once when the answer is there.
    case handle(Request)
    /// Ask the handler how to word the failure, then call `respond`.
    case fail(RequestFailure, RequestHead?)
    /// Everything is sent: end the sending side and keep reading, so that the client can read the answer before a reset
    /// reaches it (RFC 9112, 9.6).
    case finishSending
    /// Nothing before more bytes, an answer, sent output or the deadline.
    case wait
    /// Drop the connection.
    case close
  }

  /// Carries nothing: what belongs to a phase rests in the properties below, and a step from phase to phase moves
  /// it without copying.
  enum Phase: Sendable {
    /// Between requests, or in the middle of a head.
    case head
    /// `head` waits for the handler's verdict.
    case admitting
    /// Reading the body of `head`.
    case body
    /// Head and body are there.
    case complete
    /// `handle` was given out.
    case handling
    /// `failure` is to be answered.
    case failed
    /// `fail` was given out.
    case failing
    /// Answered early; what remains of the body is dropped.
    case discarding
    /// No request will be read any more; the last answer may still be on its way.
    case closing
    /// Sending side ended.
    case lingering
    case closed
  }

  let limits: ConnectionLimits
  var phase = Phase.head
  var parser: RequestParser
  /// The request in turn, until it is given out.
  var head: RequestHead?
  var framing = BodyFraming.none
  var expectsContinue = false
  var failure: RequestFailure?
  var decoder: BodyDecoder?
  var body: [UInt8] = []
  /// Unread input; the first `inputStart` bytes are used up.
  var input: [UInt8] = []
  var inputStart = 0
  var inputEnded = false
  var isDraining = false
  /// What the answer in turn has to look like.
  var context = ResponseSerializer.Context()
  var persists = false

  /// Bytes to send; the driver takes them with `withParts` and reports with `sent`.
  public internal(set) var output = OutputQueue()

  /// Since when the phase's clock runs: connection or request idle, head begun, lingering begun.
  var since: UInt64
  var isFirstRequest = true
  var inputPace: Pace
  var outputPace: Pace
  var lingered = 0

  /// A connection accepted at `now`.
  public init(limits: ConnectionLimits, now: UInt64) {
    self.limits = limits
    parser = RequestParser(maxHeadBytes: limits.maxHeadBytes, maxFields: limits.maxFields)
    since = now
    inputPace = Pace(now: now)
    outputPace = Pace(now: now)
  }

  /// Bytes are waiting to be sent.
  public var hasOutput: Bool { output.count > 0 }

  /// False while enough bytes of following requests are held already.
  public var wantsInput: Bool {
    switch phase {
    case .closed: false
    case .body, .discarding, .lingering, .closing: true
    default: input.count &- inputStart < limits.maxPipelinedBytes
    }
  }

  /// True between requests, with nothing begun and nothing left to send: may be closed without loss.
  public var isIdle: Bool {
    guard !hasOutput else { return false }
    switch phase {
    case .head: return input.count == inputStart && !parser.hasBegun
    case .closed: return true
    default: return false
    }
  }

  /// True while a request is begun and not answered, or its answer is not sent.
  public var isBusy: Bool {
    if case .lingering = phase { return false }
    return !isIdle
  }

  /// Goes one step on.
  public mutating func next(now: UInt64) -> Action {
    while true {
      switch phase {
      case .head:
        // An answer that the client does not take holds the following requests up, not the memory.
        guard !output.isBlocked, output.count < limits.maxPipelinedBytes else { return .wait }
        // A client that has just come while draining is still answered: it may be a probe that wants to see the 503.
        if isDraining, isIdle, !isFirstRequest { phase = .closed } else if !parseHead(now: now) { return .wait }
      case .admitting:
        guard let head else { return .wait }
        return .admit(head)
      case .body:
        return .wait
      case .complete:
        guard let head = head.take() else { return .wait }
        phase = .handling
        return .handle(Request(head: head, body: takeBody()))
      case .failed:
        guard let failure = failure.take() else { return .wait }
        phase = .failing
        return .fail(failure, head.take())
      case .handling, .failing:
        return .wait
      case .discarding:
        discardInput(now: now)
        if case .discarding = phase { return .wait }
      case .closing:
        guard !hasOutput else { return .wait }
        dropInput()
        guard !inputEnded else {
          phase = .closed
          continue
        }
        phase = .lingering
        since = now
        inputPace = Pace(now: now)
        return .finishSending
      case .lingering:
        return .wait
      case .closed:
        return .close
      }
    }
  }

  /// Parses buffered bytes as a head. False when nothing more can happen for now.
  private mutating func parseHead(now: UInt64) -> Bool {
    guard inputStart < input.count else {
      // Not `closed`: the last answer may still be on its way.
      if inputEnded { phase = .closing }
      return inputEnded
    }
    if !parser.hasBegun, inputStart == 0, input[0] == 0x16 {
      // A TLS handshake record on a plain port: its sender would not understand an answer.
      phase = .closing
      return true
    }
    switch parser.parse(input, from: inputStart) {
    case .partial:
      guard inputEnded else { return false }
      if parser.hasBegun { fail(.bad("the request ends in the middle of its head")) } else { phase = .closing }
    case .bad(let failure):
      context = ResponseSerializer.Context(isHead: parser.isHead)
      fail(failure)
    case .consumed(let parsed):
      consume(parsed.byteCount)
      isFirstRequest = false
      persists = parsed.persists
      context = ResponseSerializer.Context(isHead: parsed.head.method == .head, isHTTP10: parsed.head.isHTTP10)
      framing = parsed.framing
      expectsContinue = parsed.expectsContinue
      head = parsed.head
      phase = .admitting
    }
    return true
  }

  /// Makes `failure` the next thing to be answered.
  mutating func fail(_ failure: RequestFailure) {
    self.failure = failure
    phase = .failed
  }

  private mutating func takeBody() -> [UInt8] {
    var taken: [UInt8] = []
    swap(&taken, &body)
    return taken
  }

  /// Marks the first `count` unread bytes of the input as used up.
  mutating func consume(_ count: Int) {
    inputStart &+= count
    if inputStart == input.count { dropInput() }
  }

  mutating func dropInput() {
    inputStart = 0
    input.removeAll(keepingCapacity: input.capacity <= limits.maxPipelinedBytes)
  }
}
