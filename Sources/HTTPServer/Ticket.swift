import HTTP1
import Synchronization

/// What a connection shares with the tickets of its requests.
final class ConnectionLink: Sendable {
  /// True once the connection is dead.
  let isAbandoned = Atomic(false)
}

/// The way back for the answer to one request.
///
/// It names the connection by token and request number, never by descriptor: those are reused, and a late answer must
/// not reach a stranger.
final class Ticket: ReplyChannel {
  let receivedAt: UInt64
  private let mailbox: Mailbox
  private let link: ConnectionLink
  private let token: UInt64
  private let sequence: UInt64
  private let isAnswered = Atomic(false)

  init(mailbox: Mailbox, link: ConnectionLink, token: UInt64, sequence: UInt64, receivedAt: UInt64) {
    self.mailbox = mailbox
    self.link = link
    self.token = token
    self.sequence = sequence
    self.receivedAt = receivedAt
  }

  deinit {
    // A handler that forgets a request must not leave its client waiting for ever.
    if !isAnswered.load(ordering: .relaxed) { put(nil) }
  }

  var isAbandoned: Bool { link.isAbandoned.load(ordering: .relaxed) }

  func send(_ response: Response) {
    guard !isAnswered.exchange(true, ordering: .relaxed) else { return }
    put(response)
  }

  private func put(_ response: Response?) {
    guard !isAbandoned else { return }
    mailbox.put(Reply(token: token, sequence: sequence, response: response))
  }
}
