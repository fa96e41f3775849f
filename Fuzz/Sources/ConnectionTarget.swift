import HTTP1

/// The request parser with the state of its connection.
///
/// The input is what a client sends, then the sizes of the pieces in which it arrives, then what else happens: pauses, answers that
/// take time, a client that reads slowly, its end, a server that drains.
enum ConnectionTarget {
  static let limits: ConnectionLimits = {
    var limits = ConnectionLimits()
    limits.maxHeadBytes = 1024
    limits.maxFields = 8
    limits.maxDiscardBytes = 200
    limits.maxPipelinedBytes = 2048
    limits.maxLingerBytes = 1000
    limits.idleTimeout = 75
    limits.headTimeout = 10
    limits.bodyTimeout = 20
    limits.writeTimeout = 30
    limits.lingerPause = 2
    limits.lingerTimeout = 5
    limits.minimumBodyRate = 1
    return limits
  }()

  static func run(_ input: [UInt8]) {
    var parts = Parts(input)
    let bytes = parts.next()
    let sizes = parts.next().map { 1 + Int($0) % 64 }
    checkSplits(bytes, sizes)
    var events = Choices(parts.next())
    if !events.isEmpty { live(bytes, sizes, &events) }
  }

  /// The same bytes, split differently, must have the same effect.
  private static func checkSplits(_ bytes: [UInt8], _ sizes: [Int]) {
    let whole = outcome(bytes, [max(1, bytes.count)])
    let single = outcome(bytes, [1])
    require(single == whole, "byte by byte \(single), as a whole \(whole)")
    guard !sizes.isEmpty else { return }
    let pieces = outcome(bytes, sizes)
    require(pieces == whole, "in pieces \(pieces), as a whole \(whole)")
  }

  private static func outcome(_ bytes: [UInt8], _ sizes: [Int]) -> String {
    var driver = Driver(limits)
    var (at, turn) = (0, 0)
    while at < bytes.count, !driver.isClosed {
      let end = min(bytes.count, at + sizes[turn % sizes.count])
      driver.feed(bytes[at..<end])
      (at, turn) = (end, turn + 1)
    }
    let before = "\(driver.statuses) \(driver.requests) \(driver.hasFinished) \(driver.isClosed)"
    driver.end()
    driver.checkOutput()
    // Whether 100 Continue is sent depends on whether the body has come already, as it should.
    let sent = driver.hasExpectation ? "" : String(decoding: driver.sent, as: UTF8.self)
    return "\(before) \(driver.statuses) \(driver.hasFinished) \(driver.isClosed) \(sent)"
  }

  /// A connection as it goes in the world. Nothing is known of the outcome but that the bounds are kept.
  private static func live(_ bytes: [UInt8], _ sizes: [Int], _ events: inout Choices) {
    var driver = Driver(limits)
    driver.answersAtOnce = false
    driver.takesOutput = false
    var (at, turn) = (0, 0)
    while !driver.isClosed, !events.isEmpty {
      let event = events.byte()
      switch event % 8 {
      case 0, 1:
        guard driver.state.wantsInput, at < bytes.count else { continue }
        let end = min(bytes.count, at + (sizes.isEmpty ? 32 : sizes[turn % sizes.count]))
        driver.feed(bytes[at..<end])
        (at, turn) = (end, turn + 1)
      case 2: driver.answer(size: event * 97)
      case 3: driver.take(1 + event)
      case 4: driver.pass(UInt64(event / 8))
      case 5: driver.passToDeadline()
      case 6: event > 128 ? driver.end() : driver.take(.max)
      default: event > 192 ? driver.drain() : driver.answer(size: event)
      }
      require(
        driver.state.output.count <= 2048 + 2 * 24_832 + 4096, "\(driver.state.output.count) bytes wait to be sent")
    }
    // Left alone, every connection ends: nothing waits for ever on a client.
    for _ in 0..<64 where !driver.isClosed {
      driver.answer(size: 10)
      if driver.state.deadline == .max {
        driver.take(.max)
        driver.answer(size: 10)
        require(
          driver.isClosed || driver.state.deadline < .max || driver.state.hasOutput, "the connection waits for ever")
      }
      driver.passToDeadline()
    }
    require(driver.isClosed, "the connection does not end")
    driver.checkOutput()
  }
}

/// Drives a ``ConnectionState`` as the server does, with a handler that echoes bodies and rejects `/no`.
private struct Driver: ~Copyable {
  var state: ConnectionState
  private(set) var now: UInt64 = 0
  private(set) var statuses: [Int] = []
  private(set) var requests: [String] = []
  private(set) var sent: [UInt8] = []
  private(set) var hasFinished = false
  private(set) var isClosed = false
  private(set) var hasExpectation = false
  /// Whether the request of each answer was HEAD; nil for a failure, of whose request not even that may be known.
  private var wereHead: [Bool?] = []
  private var awaited: (status: Int, wasHead: Bool?)?
  var answersAtOnce = true
  var takesOutput = true
  private let serializer = ResponseSerializer(unixSeconds: 784_111_777)

  init(_ limits: ConnectionLimits) {
    state = ConnectionState(limits: limits, now: 0)
    state.established(now: 0)
    run()
  }

  mutating func feed(_ bytes: ArraySlice<UInt8>) {
    let bytes = Array(bytes)
    guard !bytes.isEmpty else { return }
    state.receive(bytes.span, now: now)
    run()
  }

  mutating func end() {
    state.receiveEnd(now: now)
    run()
  }

  mutating func drain() {
    state.drain()
    run()
  }

  mutating func pass(_ time: UInt64) {
    now += time
    state.expire(now: now)
    run()
  }

  mutating func passToDeadline() {
    let deadline = state.deadline
    guard deadline < .max, !isClosed else { return }
    require(deadline <= now + 200, "the deadline \(deadline) is far from \(now)")
    now = max(now, deadline)
    state.expire(now: now)
    run()
    require(isClosed || state.deadline > now, "the deadline \(deadline) has passed without effect")
  }

  mutating func answer(size: Int) {
    guard let (status, wasHead) = awaited else { return }
    awaited = nil
    respond(status, body: [UInt8](repeating: 0x61, count: size), wasHead: wasHead)
    run()
  }

  /// Lets the client read at most `count` bytes.
  mutating func take(_ count: Int) {
    let part = state.withOutput { first, second in
      Array((array(first) + array(second)).prefix(count))
    }
    require(part.count == min(count, state.output.count), "the output is miscounted")
    guard !part.isEmpty else { return }
    sent += part
    state.sent(part.count, now: now)
    run()
  }

  private mutating func respond(_ status: Int, body: [UInt8], wasHead: Bool?) {
    statuses.append(status)
    wereHead.append(wasHead)
    state.respond(Response(status: status, body: body), with: serializer, now: now)
  }

  private mutating func run() {
    var steps = 0
    while !isClosed {
      steps += 1
      require(steps < 10_000, "the state goes round in circles")
      switch state.next(now: now) {
      case .admit(let head): admit(head)
      case .handle(let request):
        require(awaited == nil, "a request comes before the one before it is answered")
        let head = request.head
        requests.append("\(head.method.name) \(head.target) \(request.body)")
        check(head, request.body)
        guard answersAtOnce else {
          awaited = (200, head.method == .head)
          continue
        }
        respond(200, body: request.body, wasHead: head.method == .head)
      case .fail(let failure, _):
        require(awaited == nil, "a failure comes before the request before it is answered")
        require((400...505).contains(failure.status) && !failure.reason.isEmpty, "\(failure)")
        guard answersAtOnce else {
          awaited = (failure.status, nil)
          continue
        }
        respond(failure.status, body: Array(failure.reason.utf8), wasHead: nil)
      case .finishSending:
        require(!hasFinished && !state.hasOutput, "the sending side ends twice, or too early")
        hasFinished = true
      case .wait:
        guard takesOutput, state.hasOutput else { return }
        take(.max)
        return
      case .close:
        isClosed = true
      }
    }
  }

  private mutating func admit(_ head: RequestHead) {
    if head.fields.contains("expect") { hasExpectation = true }
    if head.path == "/no", !hasExpectation {
      statuses.append(404)
      wereHead.append(head.method == .head)
      requests.append("\(head.method.name) rejected")
      state.admitted(.reject(Response(status: 404, body: Array("no".utf8))), with: serializer, now: now)
    } else {
      state.admitted(.accept(maxBodyBytes: 300), with: serializer, now: now)
    }
  }

  /// What a handler may rely on.
  private func check(_ head: RequestHead, _ body: [UInt8]) {
    require(body.count <= 300, "a body of \(body.count) bytes")
    let target = head.target
    require(target == "*" || target.hasPrefix("/"), "the target \(target)")
    require(
      target.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != 0x23 }, "the target \(target) has a byte that no URI has"
    )
    require(head.path == "*" || head.path.hasPrefix("/"), "the path \(head.path)")
    _ = head.pathSegments
    _ = head.queryItems
    require(head.isHTTP10 || head.fields.values(of: "host").count == 1, "a request without one Host")
    let framings = head.fields.values(of: "content-length").count + head.fields.values(of: "transfer-encoding").count
    require(framings <= 1, "a request with two framings")
    if let length = head.fields["content-length"] { require(Int(length) == body.count, "a body of another length") }
  }

  /// Everything that was sent is a sequence of answers, and nothing follows the last.
  func checkOutput() {
    var rest = sent[...]
    var finals: [Int] = []
    var closes = false
    while !rest.isEmpty {
      require(!closes, "an answer follows one that closes the connection")
      guard let end = headEnd(rest) else { return require(!hasFinished, "the output ends in the middle of a head") }
      let lines = String(decoding: rest[..<end], as: UTF8.self).split(
        separator: "\r\n", omittingEmptySubsequences: true)
      rest = rest[(end + 4)...]
      let words = lines.first?.split(separator: " ") ?? []
      guard words.count >= 2, words[0] == "HTTP/1.1", let status = Int(words[1]) else {
        finding("the status line \(lines)")
      }
      if status == 100 {
        require(lines.count == 1, "100 Continue with fields")
        continue
      }
      finals.append(status)
      let lengths = lines.filter { $0.hasPrefix("Content-Length: ") }.compactMap { Int($0.dropFirst(16)) }
      closes = lines.contains("Connection: close")
      guard lengths.count == 1 else { finding("an answer with \(lengths.count) lengths") }
      require(finals.count <= wereHead.count, "more answers were sent than given")
      if let wasHead = wereHead[finals.count - 1] {
        rest = rest.dropFirst(wasHead ? 0 : lengths[0])
      } else {
        require(rest.isEmpty || rest.count <= lengths[0], "something follows the answer to a failure")
        rest = []
      }
    }
    require(
      finals.count <= statuses.count && finals == Array(statuses.prefix(finals.count)),
      "\(finals) sent, \(statuses) given")
    if hasFinished { require(closes || finals.count == statuses.count, "the output ends without its last answers") }
  }

  private func headEnd(_ bytes: ArraySlice<UInt8>) -> Int? {
    var at = bytes.startIndex
    while at + 4 <= bytes.endIndex {
      if bytes[at] == 0x0D, bytes[at + 1] == 0x0A, bytes[at + 2] == 0x0D, bytes[at + 3] == 0x0A { return at }
      at += 1
    }
    return nil
  }
}
