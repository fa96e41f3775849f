import Compression
import HTTP1
import JSON
import Platform
import Synchronization
import VectorStore

/// One request on its way through the service. It is answered exactly once, from any thread.
final class Call: Sendable {
  let head: RequestHead
  /// Path segments that the route captured, decoded: a collection's name, a point's id.
  let parameters: [String]
  let style: ErrorStyle
  /// The format of the request's body.
  let bodyType: MediaType
  /// The coding that the body was sent in.
  let bodyCoding: ContentCoding
  /// The format that the answer is wanted in.
  let answerType: MediaType
  /// Monotonic nanoseconds from which on nobody waits for the answer; `.max` for never.
  let deadline: UInt64
  private let hasBegun = Atomic(false)
  private let body: Mutex<[UInt8]>
  private let bytesIn: Int
  private let exchange: Exchange
  private let places: ClientLimit.Places?
  private let observer = Mutex<(@Sendable (Response) -> Void)?>(nil)
  private let reply: any ReplyChannel
  private let observation: Observation
  private let compression: AnswerCompression
  private let lanes: WorkLanes
  private let timings = Mutex(Timings())
  /// What the answer tells of, for its X-Nearfar-Version.
  private let version = Mutex<VersionToken?>(nil)
  /// The client's name for a change, where it gave one and replicas share the records.
  private let given = Mutex<ChangeKey?>(nil)

  /// - Parameters:
  ///   - timeout: nanoseconds that the answer may take where the request says nothing of it.
  ///   - compression: which answers are compressed here; `off` for a call that is answered on the event loop.
  ///   - lanes: where that is done.
  init(
    _ request: Request, _ admitted: Admitted, reply: any ReplyChannel, observation: Observation, timeout: UInt64?,
    compression: AnswerCompression, lanes: WorkLanes
  ) {
    self.compression = compression
    self.lanes = lanes
    head = request.head
    body = Mutex(request.body)
    bytesIn = request.body.count
    self.reply = reply
    self.observation = observation
    exchange = admitted.exchange
    places = admitted.places
    let match = admitted.match
    parameters = match.parameters
    style = match.route.style
    bodyType = request.head.fields["content-type"].flatMap(MediaType.init(contentType:)) ?? .json
    bodyCoding = ContentCoding(of: request.head)
    answerType = MediaType.preferred(of: match.route.gives, accept: request.head.fields["accept"]) ?? .json
    deadline = (RequestTimeout.stated(in: request.head) ?? timeout).map { reply.receivedAt &+ $0 } ?? .max
    observation.began(request.head)
  }

  /// The name under which the request can be found in the log.
  var requestID: String { exchange.requestID.text }

  /// Whose API key the request has.
  var caller: Caller { exchange.caller }

  /// Asks for a right that only the body shows to be needed.
  ///
  /// - Throws: ``Problem`` when the caller lacks it.
  func require(_ right: Right) throws(Problem) {
    if let problem = caller.refusal(.right(right)) { throw problem }
  }

  /// The client went away; work for it may be dropped.
  var isAbandoned: Bool { reply.isAbandoned }

  /// Seconds until the deadline.
  var secondsLeft: Double {
    guard deadline != .max else { return .infinity }
    let now = SystemClock.monotonic
    return now < deadline ? Double(deadline - now) / 1e9 : 0
  }

  /// - Throws: ``Problem`` when nobody waits for the answer any more.
  func requireWaiting() throws(Problem) {
    guard !isAbandoned, secondsLeft > 0 else { throw dropped }
  }

  /// To be called before each piece of work for the call.
  ///
  /// - Throws: ``Problem`` when nobody waits for the answer any more.
  func beginWork() throws(Problem) {
    try requireWaiting()
    markBegun()
  }

  /// Something has been computed for the call.
  func markBegun() { hasBegun.store(true, ordering: .relaxed) }

  /// The answer to a call whose client has gone, or whose deadline has passed or cannot be met.
  var dropped: Problem {
    if isAbandoned { return Problem(503, "the client went away") }
    return hasBegun.load(ordering: .relaxed)
      ? Problem(504, "the request could not be finished within the time that it was given", .deadline)
      : Problem(503, "the request could not be begun within the time that it was given", .deadline)
  }

  /// So many tokens have been encoded for the call.
  func encoded(tokens: Int) { observation.keys?.encoded(caller, tokens: tokens) }

  func add(_ stage: Timings.Stage, _ nanoseconds: UInt64) {
    timings.withLock { $0.add(stage, nanoseconds) }
  }

  /// Adds the time since `start` to `stage`.
  func add(_ stage: Timings.Stage, since start: UInt64) {
    add(stage, SystemClock.monotonic &- start)
  }

  /// Notes that the call has its turn in a lane.
  ///
  /// - Returns: nanoseconds that it waited, since the request's last byte arrived.
  func leftQueue() -> UInt64 {
    let waited = SystemClock.monotonic &- reply.receivedAt
    add(.queue, waited)
    return waited
  }

  /// The body as JSON. To be called once.
  ///
  /// - Throws: `JSONParseError`, or what ``takeBody(_:)`` throws.
  func json(_ limits: Limits) throws -> JSONValue {
    try JSONDocument(try takeBody(limits), maxDepth: limits.maxJSONDepth, mayHaveByteOrderMark: true).root
  }

  /// The body's bytes, decompressed. To be called once: they go with whoever reads them, so that a large body is not copied.
  ///
  /// - Throws: ``Problem`` for a body that is not what its Content-Encoding says, or too long when it is decompressed.
  func takeBody(_ limits: Limits) throws(Problem) -> [UInt8] {
    let sent = body.withLock { bytes in
      defer { bytes = [] }
      return bytes
    }
    guard bodyCoding == .gzip else { return sent }
    let bounds = Gzip.Limits(bytes: limits.maxBodyBytes)
    do throws(Gzip.Failure) {
      let body = try Gzip.inflate(sent, bounds)
      reply.holds(body.count)
      return body
    } catch {
      throw Problem(error, bounds)
    }
  }

  /// Calls `read` with the bytes as they were sent, which stay in the call.
  func withBody<Result>(_ read: ([UInt8]) -> Result) -> Result { read(body.withLock { $0 }) }

  /// Shows `observe` the answer, not compressed and without the fields that every answer gets, before it is sent.
  func whenAnswered(_ observe: @escaping @Sendable (Response) -> Void) {
    observer.withLock { $0 = observe }
  }

  /// The coding that the client wants the answer in.
  var answerCoding: ContentCoding { ContentCoding(acceptEncoding: head.fields["accept-encoding"]) }

  /// The answer tells of this version.
  func note(_ token: VersionToken) { version.withLock { $0 = token } }

  var changeKey: ChangeKey? {
    get { given.withLock { $0 } }
    set { given.withLock { $0 = newValue } }
  }

  /// Goes on with the call on a work queue; whatever `body` throws becomes the answer.
  func resume(_ body: @escaping @Sendable () throws -> Void) {
    lanes.lane(bodyBytes: bytesIn).submit { self.perform(body) }
  }

  func answer(_ response: Response) {
    var response = response
    if let token = version.withLock({ $0 }), response.status < 400 {
      response.fields.append(VersionFields.answer, token.description)
    }
    observer.withLock { observer in
      defer { observer = nil }
      return observer
    }?(response)
    guard compression.applies(to: response) else { return send(response) }
    let varying = response.varying()
    guard answerCoding == .gzip, !isAbandoned else { return send(varying) }
    // Here when this is a work queue. Others that answer, such as the store's writer, have more to do than to compress.
    lanes.lane(bodyBytes: varying.body.count).runOnQueue { self.send(self.compressed(varying)) }
  }

  private func compressed(_ response: Response) -> Response {
    let start = SystemClock.monotonic
    let response = response.compressed(level: 1)
    add(.compress, since: start)
    return response
  }

  private func send(_ response: Response) {
    let work = AnsweredWork(
      nanoseconds: SystemClock.monotonic &- reply.receivedAt, timings: timings.withLock { $0 }, bytesIn: bytesIn)
    // The client may send its next request as soon as it has the answer. One that is made while it is sent keeps its place until it is
    // whole: then it releases this call.
    if response.stream == nil { places?.end() }
    // Observed before it is sent, so that a client that has the answer finds it in the metrics.
    reply.send(observation.answered(exchange, with: response, work, isAbandoned: isAbandoned))
  }

  /// The name of a collection or a queue that the path holds first.
  ///
  /// - Parameter owner: what has the name, for the error: `a queue`.
  /// - Throws: ``Problem`` for a name that none can have.
  func name(of owner: String) throws(Problem) -> String {
    let name = parameters.first ?? ""
    guard RequestID.isValid(name) else {
      throw .invalid("name", "\(owner)'s name has 1 to 128 of the characters A-Z a-z 0-9 . _ -")
    }
    return name
  }

  func fail(_ problem: Problem) {
    observation.rejected(problem)
    answer(problem.response(style))
  }

  /// Answers with `write`'s JSON; a value that is not finite becomes an internal error, never invalid JSON.
  func answer(status: Int = 200, reserving: Int = 256, _ write: (inout JSONWriter) throws -> Void) rethrows {
    var writer = JSONWriter(reserving: reserving)
    try write(&writer)
    guard !writer.sawNonFinite else { return fail(.internalError) }
    answer(Response(writer, status: status))
  }

  /// Runs `body`; whatever it throws becomes the answer.
  func perform(_ body: () throws -> Void) {
    do {
      try body()
    } catch {
      fail(Problem(describing: error))
    }
  }
}

extension Response {
  /// A body in one of the service's formats.
  init(_ type: MediaType, _ body: [UInt8], status: Int = 200) {
    self.init(status: status, fields: HTTPFields([("Content-Type", type.rawValue)]), body: body)
  }
}

/// Where a request's time went, for the `Server-Timing` field (W3C Server Timing).
struct Timings: Sendable {
  enum Stage: String, Sendable {
    case queue, tokenize, encode, score, search, compress, total
  }

  private(set) var stages: [(stage: Stage, nanoseconds: UInt64)] = []

  /// Adds to a stage; stages keep the order of their first mention.
  mutating func add(_ stage: Stage, _ nanoseconds: UInt64) {
    if let index = stages.firstIndex(where: { $0.stage == stage }) {
      stages[index].nanoseconds &+= nanoseconds
    } else {
      stages.append((stage, nanoseconds))
    }
  }

  /// `queue;dur=0.021, total;dur=1.250`: milliseconds with three decimals.
  func field(total: UInt64) -> String {
    var text = ""
    for (stage, nanoseconds) in stages { Self.add(stage, nanoseconds, to: &text) }
    Self.add(.total, total, to: &text)
    return text
  }

  private static func add(_ stage: Stage, _ nanoseconds: UInt64, to text: inout String) {
    if !text.isEmpty { text += ", " }
    let microseconds = nanoseconds / 1000 &+ (nanoseconds % 1000 >= 500 ? 1 : 0)
    text += stage.rawValue
    text += ";dur="
    text += String(microseconds / 1000)
    text += "."
    // Three digits, with zeros in front.
    text += String(1000 &+ microseconds % 1000).dropFirst()
  }
}

/// `X-Request-Timeout-Ms`: how long the client will wait, in milliseconds, from the end of its request.
package enum RequestTimeout {
  static let field = "x-request-timeout-ms"

  /// The nanoseconds that a request states; nil for one that states none, or not rightly.
  static func stated(in head: RequestHead) -> UInt64? { head.fields[field].flatMap(nanoseconds) }

  /// - Returns: nil for what is not a whole number from 1 to 86,400,000.
  package static func nanoseconds(_ text: String) -> UInt64? {
    guard (1...8).contains(text.utf8.count), text.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
      let number = UInt64(text),
      (1...86_400_000).contains(number)
    else { return nil }
    return number * 1_000_000
  }
}
