/// One HTTP/1.1 connection as a pure state machine: bytes, answers and the time go in, actions come out.
///
/// It knows no socket, no thread and no clock. Its driver repeats `next` until it says `wait` or `close`, sends what
/// `output` holds, and calls `expire` when `deadline` has passed. Requests are handled one at a time, so that answers
/// cannot get out of order; the bytes of further requests wait, up to a limit.
public struct ConnectionState: ~Copyable {
  /// What the driver has to do next.
  public enum Action: Sendable {
    /// Ask the handler about the head, then call `admitted`.
    case admit(RequestHead)
    /// Hand the request over, and call `respond` once when the answer is there.
    case handle(Request)
    /// Ask the handler how to word the failure, then call `respond`.
    case fail(RequestFailure, RequestHead?)
    /// Everything is sent. End the sending side and keep reading: a connection that is closed with bytes unread is reset,
    /// and the reset may destroy the answer before the client has read it (RFC 9112, 9.6).
    case finishSending
    /// Nothing, until bytes come, an answer comes, output is sent or the deadline passes.
    case wait
    /// Drop the connection.
    case close
  }

  /// The phases carry no values. What belongs to a phase is kept in the properties below, so that going from one phase to
  /// the next copies nothing.
  enum Phase: Sendable {
    /// Between requests, or in the middle of a head.
    case head
    /// `head` waits for the handler's verdict.
    case admitting
    /// Reading the body of `head`.
    case body
    /// The whole request has been read.
    case complete
    /// `handle` was returned, and its answer is awaited.
    case handling
    /// `failure` is to be answered.
    case failed
    /// `fail` was returned, and its answer is awaited.
    case failing
    /// The request was answered early, and the rest of its body is dropped.
    case discarding
    /// No further request will be read. The last answer may still have to be sent.
    case closing
    /// The sending side has ended, and what the client still sends is dropped.
    case lingering
    case closed
  }

  let limits: ConnectionLimits
  let mayCloseAtOnce: Bool
  let spares: SpareBuffers
  var phase = Phase.head
  var parser: RequestParser
  /// The head of the current request, until it is handed over.
  var head: RequestHead?
  /// What the handler gave when it admitted `head`.
  var handlerContext: (any Sendable)?
  var framing = BodyFraming.none
  var expectsContinue = false
  var failure: RequestFailure?
  var decoder: BodyDecoder?
  var body: [UInt8] = []
  /// Bytes from the client that have not been used; the first `inputStart` have.
  var input: [UInt8] = []
  var inputStart = 0
  var inputEnded = false
  var isDraining = false
  /// What the form of the next answer depends on.
  var context = ResponseSerializer.Context()
  var persists = false
  /// The client wants no further request, and all of the one that is answered has been read.
  var isLastRequest = false

  /// Bytes to send; the driver takes them with `withOutput` and reports with `sent`.
  public internal(set) var output = OutputQueue()

  /// Since when the connection has been idle, a head has been coming in, or the connection has been lingering.
  var since: UInt64
  var isFirstRequest = true
  /// Since when the driver has not received the body, of its own accord.
  var heldBackSince: UInt64?
  var inputPace: Pace
  var outputPace: Pace
  var lingered = 0

  /// A connection accepted at `now`.
  ///
  /// - Parameters:
  ///   - mayCloseAtOnce: closing it tells the client as much as ending the sending side before that, as long as no bytes are unread.
  ///   - spares: buffers of the thread that serves the connection.
  public init(
    limits: ConnectionLimits, mayCloseAtOnce: Bool = false, spares: SpareBuffers = SpareBuffers(), now: UInt64
  ) {
    self.limits = limits
    self.mayCloseAtOnce = mayCloseAtOnce
    self.spares = spares
    parser = RequestParser(maxHeadBytes: limits.maxHeadBytes, maxFields: limits.maxFields, spares: spares)
    since = now
    inputPace = Pace(now: now)
    outputPace = Pace(now: now)
  }

  /// True while bytes wait to be sent.
  public var hasOutput: Bool { output.count > 0 }

  /// True while bytes wait to be sent or pieces of a body are still to come.
  public var isSending: Bool { hasOutput || output.isStreaming }

  /// False while as many bytes of following requests are held as may be.
  public var wantsInput: Bool {
    switch phase {
    case .closed: false
    case .body, .discarding, .lingering, .closing: true
    default: input.count &- inputStart < limits.maxPipelinedBytes
    }
  }

  /// Bytes that are held of the body that is being received; 0 when there is none.
  public var bodyByteCount: Int { phase == .body ? body.count : 0 }

  /// True while a body is being received.
  public var isReceivingBody: Bool { phase == .body }

  /// The head of the request whose body is being received.
  public var headOfBody: RequestHead? { phase == .body ? head : nil }

  /// True when closing the connection now would lose nothing of a request whose head is whole: each has been answered,
  /// the answers have been sent, and the client has had the time to read the last.
  public var isSettled: Bool {
    switch phase {
    case .head: !isSending
    case .closed: true
    default: false
    }
  }

  /// True while a request whose head is whole is not answered, or its answer is not sent.
  public var isBusy: Bool { phase != .lingering && !isSettled }

  /// True between requests, with nothing begun and nothing left to send.
  private var isIdle: Bool { phase == .head && !isSending && inputStart == input.count && !parser.hasBegun }

  /// No request is read after the current one from now on, and an incomplete head is not waited for. A request whose head
  /// is whole is finished, including its body.
  public mutating func drain() {
    isDraining = true
    // The rest of a body that nobody wants is only read so that the connection can be kept.
    if phase == .discarding { phase = .closing }
  }

  /// Goes on until there is something for the driver to do.
  public mutating func next(now: UInt64) -> Action {
    while true {
      switch phase {
      case .head:
        guard mayBeginRequest else { return .wait }
        // While draining, a connection that has had no request yet stays: it may be a probe that is to see the 503.
        if isDraining, isIdle, !isFirstRequest { phase = .closed } else if !parseHead(now: now) { return .wait }
      case .admitting:
        guard let head else { preconditionFailure("no head to be admitted") }
        return .admit(head)
      case .body:
        return .wait
      case .complete:
        guard let head = head.take() else { preconditionFailure("no head to be handled") }
        phase = .handling
        return .handle(Request(head: head, body: takeBody(), context: handlerContext.take()))
      case .failed:
        guard let failure = failure.take() else { preconditionFailure("no failure to be answered") }
        phase = .failing
        return .fail(failure, head.take())
      case .handling, .failing:
        return .wait
      case .discarding:
        discardInput(now: now)
        if case .discarding = phase { return .wait }
      case .closing:
        guard !isSending else { return .wait }
        // A client that has said that it sends no more is not waited for.
        let isOver = inputEnded || mayCloseAtOnce && isLastRequest && inputStart == input.count
        dropInput()
        guard !isOver else {
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

  /// False while the client does not take its answers: its further requests wait, so that memory stays bounded.
  var mayBeginRequest: Bool { !output.isBlocked && output.count < limits.maxPipelinedBytes }

  /// Parses buffered bytes as a head. False when nothing can happen until more of them come.
  private mutating func parseHead(now: UInt64) -> Bool {
    guard inputStart < input.count else {
      // Not `closed`: the last answer may still have to be sent.
      if inputEnded { phase = .closing }
      return inputEnded
    }
    var bytes: [UInt8] = []
    swap(&bytes, &input)
    let used = parse(bytes.span.extracting(droppingFirst: inputStart), now: now)
    swap(&bytes, &input)
    consume(used)
    guard phase == .head else { return true }
    guard inputEnded else { return false }
    if parser.hasBegun { fail(.bad("the request ends in the middle of its head")) } else { phase = .closing }
    return true
  }

  /// Parses bytes that follow on those that have been used.
  ///
  /// - Returns: how many of them a whole head has taken. Otherwise 0, and the same bytes are to be given again with more behind them.
  mutating func parse(_ bytes: Span<UInt8>, now: UInt64) -> Int {
    if isFirstRequest, !parser.hasBegun, bytes[0] == 0x16 {
      // A TLS handshake record on a plain port: its sender would not understand an answer. Only the first bytes of a connection
      // can be one.
      phase = .closing
      return 0
    }
    let hadBegun = parser.hasBegun
    switch parser.parse(bytes) {
    case .partial:
      if parser.hasBegun, !hadBegun { since = now }
      return 0
    case .bad(let failure):
      context = ResponseSerializer.Context(isHead: parser.isHead)
      fail(failure)
      return 0
    case .consumed(let parsed):
      isFirstRequest = false
      persists = parsed.persists
      context = ResponseSerializer.Context(isHead: parsed.head.method == .head, isHTTP10: parsed.head.isHTTP10)
      framing = parsed.framing
      expectsContinue = parsed.expectsContinue
      head = parsed.head
      phase = .admitting
      return parsed.byteCount
    }
  }

  /// Makes `failure` what is answered next.
  mutating func fail(_ failure: RequestFailure) {
    self.failure = failure
    handlerContext = nil
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
