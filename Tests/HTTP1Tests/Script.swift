import HTTP1
import Synchronization

/// Drives a `ConnectionState` as a server would, with a handler that echoes bodies and rejects `/no`,
/// and records what happens.
final class Script {
  static let limits: ConnectionLimits = {
    var limits = ConnectionLimits()
    limits.maxHeadBytes = 1024
    limits.maxFields = 8
    limits.maxDiscardBytes = 200
    limits.maxPipelinedBytes = 4096
    limits.maxLingerBytes = 1000
    limits.idleTimeout = 75
    limits.headTimeout = 10
    limits.bodyTimeout = 20
    limits.writeTimeout = 30
    limits.lingerPause = 2
    limits.lingerTimeout = 5
    limits.minimumBodyRate = 0
    return limits
  }()

  var state: ConnectionState
  var now: UInt64 = 0
  var statuses: [Int] = []
  var requests: [String] = []
  /// Everything sent, unless `takesOutput` is false.
  var sent: [UInt8] = []
  var hasFinished = false
  var isClosed = false
  /// When false, requests are not answered until the test calls `answer`.
  var answers = true
  /// When false, the client reads nothing unless the test calls `take`.
  var takesOutput = true
  var bodyLimit = 50
  private let serializer = ResponseSerializer(unixSeconds: 784_111_777)

  init(limits: ConnectionLimits = Script.limits, mayCloseAtOnce: Bool = false) {
    state = ConnectionState(limits: limits, mayCloseAtOnce: mayCloseAtOnce, now: 0)
    run()
  }

  func feed(_ bytes: some Sequence<UInt8>) {
    let bytes = Array(bytes)
    guard !bytes.isEmpty else { return }
    state.receive(bytes.span, now: now)
    run()
  }

  func feed(_ text: String) {
    feed(Array(text.utf8))
  }

  func end() {
    state.receiveEnd(now: now)
    run()
  }

  func answer(_ response: Response) {
    statuses.append(response.status)
    state.respond(response, with: serializer, now: now)
    run()
  }

  func pass(to time: UInt64) {
    now = time
    state.expire(now: now)
    run()
  }

  func drain() {
    state.drain()
    run()
  }

  /// Lets the client read `count` bytes.
  func take(_ count: Int) {
    let part = state.withOutput { first, second in
      Array((array(first) + array(second)).prefix(count))
    }
    sent += part
    state.sent(part.count, now: now)
    run()
  }

  var isBusy: Bool { state.isBusy }
  var isSettled: Bool { state.isSettled }
  var hasOutput: Bool { state.hasOutput }
  var wantsInput: Bool { state.wantsInput }
  var deadline: UInt64 { state.deadline }

  var text: String { String(decoding: sent, as: UTF8.self) }

  /// The pieces that streams have delivered and `takePieces` has not passed on yet.
  private let pieces = Pieces()

  private final class Pieces: Sendable {
    let waiting = Mutex<[[UInt8]?]>([])
  }

  /// Passes the delivered pieces on to the state.
  func takePieces() {
    for piece in pieces.waiting.withLock({ waiting in
      defer { waiting = [] }
      return waiting
    }) {
      state.streamed(piece, now: now)
    }
    run()
  }

  func run() {
    while let stream = state.pieceWanted() {
      let pieces = pieces
      stream.next { piece in pieces.waiting.withLock { $0.append(piece) } }
      let delivered = pieces.waiting.withLock { waiting in
        defer { waiting = [] }
        return waiting
      }
      for piece in delivered { state.streamed(piece, now: now) }
    }
    while true {
      switch state.next(now: now) {
      case .admit(let head): state.admitted(verdict(head), with: serializer, now: now)
      case .handle(let request):
        requests.append(
          "\(request.head.method.name) \(request.head.target) \(String(decoding: request.body, as: UTF8.self))")
        guard answers else { return }
        statuses.append(200)
        state.respond(Response(status: 200, body: request.body), with: serializer, now: now)
      case .fail(let failure, _):
        statuses.append(failure.status)
        state.respond(Response(status: failure.status), with: serializer, now: now)
      case .finishSending: hasFinished = true
      case .wait:
        guard takesOutput, state.hasOutput else { return }
        take(state.output.count)
        return
      case .close:
        isClosed = true
        return
      }
    }
  }

  private func verdict(_ head: RequestHead) -> Admission {
    guard head.path == "/no" else { return .accept(maxBodyBytes: bodyLimit) }
    statuses.append(404)
    return .reject(Response(status: 404))
  }
}

/// A copy of a span's bytes.
func array(_ span: Span<UInt8>) -> [UInt8] {
  span.indices.map { span[$0] }
}
