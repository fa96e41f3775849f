import HTTP1
import Synchronization

/// What a handler has made, on its way to the loop.
struct Reply {
  enum Content {
    case answer(Response)
    /// The handler dropped the request without an answer.
    case dropped
    /// The next piece of the answer's body.
    case piece([UInt8]?)
    /// The body that the connection is receiving may be read on.
    case room
  }

  /// Slot and generation of the connection.
  var token: UInt64
  /// Which of the connection's requests it belongs to.
  var sequence: UInt64
  var content: Content
  /// The memory that the answer takes, where it is counted.
  var hold: BodyHold?
}

/// A connection on its way to its loop.
struct Arrival {
  /// A connected, non-blocking socket.
  var descriptor: Int32
  /// nil where the system does not say whose it is.
  var client: SocketAddress?
  /// There are too many connections: it is answered 503 and closed.
  var isBeyondLimit: Bool
}

/// Where answers from any thread, and connections from the accepting loop, wait for the loop.
///
/// The loop is woken only when it sleeps and nothing else has woken it: under load it collects answers as it goes, and
/// they cost no system call.
final class Mailbox: Sendable {
  private struct State {
    var replies: [Reply] = []
    var arrivals: [Arrival] = []
    var isLoopAsleep = false
  }

  private let state = Mutex(State())
  /// False when nothing waits, which the loop can see without the lock. What it misses in between it finds before it sleeps.
  private let isFilled = Atomic(false)
  private let wakeup: Wakeup

  init(wakeup: Wakeup) {
    self.wakeup = wakeup
  }

  func put(_ reply: Reply) { put { $0.replies.append(reply) } }

  func put(_ arrival: Arrival) { put { $0.arrivals.append(arrival) } }

  private func put(_ append: (inout State) -> Void) {
    let wasAsleep = state.withLock { state in
      append(&state)
      isFilled.store(true, ordering: .relaxed)
      defer { state.isLoopAsleep = false }
      return state.isLoopAsleep
    }
    if wasAsleep { wakeup.signal() }
  }

  /// Exchanges what waits for empty arrays, so that the storage of all of them stays in use. Called by the loop.
  func take(_ replies: inout [Reply], _ arrivals: inout [Arrival]) {
    guard isFilled.load(ordering: .relaxed) else { return }
    state.withLock { state in
      swap(&state.replies, &replies)
      if !state.arrivals.isEmpty { swap(&state.arrivals, &arrivals) }
      isFilled.store(false, ordering: .relaxed)
    }
  }

  /// Announces that the loop is awake: what comes from now on is found without a signal. Called by the loop.
  func wake() {
    state.withLock { $0.isLoopAsleep = false }
  }

  /// Announces that the loop is going to sleep. False when something waits, and then it must not. Called by the loop.
  func prepareToSleep() -> Bool {
    state.withLock { state in
      state.isLoopAsleep = state.replies.isEmpty && state.arrivals.isEmpty
      return state.isLoopAsleep
    }
  }
}

/// What a connection shares with the tickets of its requests.
final class ConnectionLink: Sendable {
  /// True once the connection is dead.
  let isAbandoned = Atomic(false)
}

/// The way back for the answer to one request.
///
/// It names the connection by token and request number, never by descriptor: descriptors are reused, and a late answer
/// must not reach another client.
final class Ticket: ReplyChannel {
  let receivedAt: UInt64
  private let mailbox: Mailbox
  private let link: ConnectionLink
  private let token: UInt64
  private let sequence: UInt64
  private let memory: BodyMemory
  private let hold: Mutex<BodyHold?>
  private let isAnswered = Atomic(false)

  /// Answers of fewer bytes are not counted: they are less than what every connection has anyway.
  private static let countedAnswer = 16_384

  /// - Parameter hold: the memory of the request's body.
  init(
    mailbox: Mailbox, link: ConnectionLink, token: UInt64, sequence: UInt64, receivedAt: UInt64, memory: BodyMemory,
    hold: BodyHold?
  ) {
    self.memory = memory
    self.hold = Mutex(hold)
    self.mailbox = mailbox
    self.link = link
    self.token = token
    self.sequence = sequence
    self.receivedAt = receivedAt
  }

  deinit {
    // A handler that forgets a request must not let its client wait for ever.
    if !isAnswered.load(ordering: .relaxed) { put(.dropped) }
  }

  var isAbandoned: Bool { link.isAbandoned.load(ordering: .relaxed) }

  func send(_ response: Response) {
    guard !isAnswered.exchange(true, ordering: .relaxed) else { return }
    // What the request held is given back, or becomes the memory of the answer.
    let hold = hold.withLock { $0.take() }
    guard !isAbandoned, response.body.count >= Self.countedAnswer else { return put(.answer(response)) }
    let answer = hold ?? memory.hold()
    answer.set(.answering, response.body.count)
    put(.answer(response), answer)
  }

  func holds(_ bytes: Int) {
    hold.withLock { hold in
      if hold == nil {
        hold = memory.hold()
        hold?.set(.handling, 0)
      }
      hold?.add(bytes)
    }
  }

  private func put(_ content: Reply.Content, _ hold: BodyHold? = nil) {
    guard !isAbandoned else { return }
    mailbox.put(Reply(token: token, sequence: sequence, content: content, hold: hold))
  }
}
