import HTTP1

/// One client as the loop sees it: its transport, the protocol's state, and what the transport waits for.
final class Connection {
  let descriptor: Int32
  private let client: SocketAddress?
  let transport: any Transport
  let token: UInt64
  let link = ConnectionLink()
  /// Asked for when there is a request, so behind the handshake.
  private(set) lazy var peer = findPeer()
  // SAFETY: only the loop's thread touches a connection, and nothing that is called during an access comes back to it. So
  // the run-time check for overlapping accesses, a tenth of the time spent here, has nothing to find.
  @exclusivity(unchecked) var state: ConnectionState

  // What the socket has to become ready for before the transport can go on receiving, sending or ending its side; nil when
  // it may try at once. Edge-triggered reports come once, so that this has to be remembered.
  var receiveWaits: Readiness?
  var sendWaits: Readiness?
  var finishWaits: Readiness?
  /// The sending side is to be ended, and the transport has not done so yet.
  var isFinishing = false

  /// The header of the PROXY protocol, until it has come; nil where there is none.
  var proxyHeader: PendingProxyHeader?
  /// What the header has said of the client.
  var source = ProxyHeader.Source.socket

  /// The memory of the body that is being received.
  var bodyHold: BodyHold?
  /// The memory of the answer that is being sent.
  var answerHold: BodyHold?
  /// Its body is not read on before there is room.
  var isHeldBack = false

  /// Its place among the connections of its client; nil where they are not counted.
  var share: Share?
  /// It is there only to be told that its client has too many.
  var isSurplus = false

  /// There were too many connections when it came: it is there only to be told so.
  var isBeyondLimit = false

  /// When a handshake that has not been finished by then is given up; nil when there is none.
  var handshakeEnds: UInt64?

  /// What it was counted as; nil before it is opened and after it is closed.
  var activity: ConnectionActivity?

  var isOpen = true
  /// In the loop's list of connections with something to send.
  var isQueued = false
  /// In the loop's list of connections that have used up their read budget.
  var isUnread = false
  /// In the loop's list of connections whose streamed body goes on in the next pass.
  var isPostponed = false
  /// Number of the current request.
  var sequence: UInt64 = 0
  /// Time of the earliest entry of the deadline queue that names this connection.
  var scheduled = UInt64.max

  init(
    descriptor: Int32, client: SocketAddress?, transport: any Transport, token: UInt64, state: consuming ConnectionState
  ) {
    self.descriptor = descriptor
    self.client = client
    self.transport = transport
    self.token = token
    self.state = state
  }

  private func findPeer() -> Peer { peer(securedBy: transport.security) }

  /// The address of the client, which is known before the handshake.
  var ip: IPAddress? { peer(securedBy: nil).ip }

  private func peer(securedBy security: TransportSecurity?) -> Peer {
    let (version, subject) = (security?.version, security?.subject)
    var client: SocketAddress?
    switch source {
    case .socket: client = self.client
    case .nameless: break
    case .address(let host, let port):
      return Peer(ip: host, port: port, securedBy: version, certificateSubject: subject)
    }
    switch client?.host {
    case .address(let ip):
      return Peer(ip: ip, port: client?.port ?? 0, securedBy: version, certificateSubject: subject)
    case .zoned(let name):
      return Peer(address: name, port: client?.port ?? 0, securedBy: version, certificateSubject: subject)
    case nil:
      return Peer(address: "", port: 0, securedBy: version, certificateSubject: subject)
    }
  }

  /// Takes note of what the socket has become ready for.
  ///
  /// Receiving waits for `readable` and sending for `writable` as a rule. Where it is the other way round, the two share
  /// a handshake or the like, and either may have used up what the other waits for: then any report is worth a try.
  func note(isReadable: Bool, isWritable: Bool) {
    if receiveWaits == .writable || isReadable { receiveWaits = nil }
    if sendWaits == .readable || isWritable { sendWaits = nil }
    finishWaits = nil
  }
}

/// The open connections, found by token: the number of a slot below, its generation above. The token of a closed
/// connection finds nothing, whichever connection has the slot now.
struct ConnectionTable {
  private var slots: [Connection?] = []
  private var generations: [UInt32] = []
  private var free: [Int] = []

  /// Number of open connections.
  var count: Int { slots.count - free.count }

  /// Opens a slot for the connection that `make` returns for the new token.
  mutating func insert(_ make: (UInt64) -> Connection) -> Connection {
    let slot = free.popLast() ?? slots.count
    if slot == slots.count {
      slots.append(nil)
      generations.append(0)
    }
    let connection = make(UInt64(generations[slot]) << 32 | UInt64(slot))
    slots[slot] = connection
    return connection
  }

  subscript(token: UInt64) -> Connection? {
    let slot = Int(token & 0xffff_ffff)
    guard slot < slots.count, generations[slot] == UInt32(token >> 32) else { return nil }
    return slots[slot]
  }

  mutating func remove(_ token: UInt64) {
    precondition(self[token] != nil, "a connection is removed once")
    let slot = Int(token & 0xffff_ffff)
    slots[slot] = nil
    // The two highest tokens belong to the listener and the wake-up; generations of 31 bits keep clear of them.
    generations[slot] = (generations[slot] &+ 1) & 0x7fff_ffff
    free.append(slot)
  }

  /// Every open connection.
  var all: [Connection] { slots.compactMap { $0 } }
}
