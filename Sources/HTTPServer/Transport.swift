import CLinux
import Platform

/// What a socket can become ready for.
package enum Readiness: Sendable {
  /// There are bytes, an end or an error to be read.
  case readable
  /// There is room for bytes to be sent.
  case writable
}

/// What came of receiving.
package enum Reception {
  /// So many bytes, at least one, were received. `isDrained` promises that neither the socket nor the transport has more
  /// for now, which saves a system call; otherwise the loop calls again, however few they were.
  case bytes(Int, isDrained: Bool)
  /// The client has ended its side.
  case end
  /// Nothing can be received before the socket is ready for this.
  case blocked(until: Readiness)
  /// The client speaks plain HTTP where TLS is expected. From here on bytes pass as they are, so that it can be told.
  case notSecured
  /// The connection is dead.
  case broken
}

/// How a connection is secured.
package struct TransportSecurity: Sendable {
  /// The protocol, for instance `TLSv1.3`.
  package let version: String
  /// An earlier session was resumed.
  package let isResumed: Bool
  /// The subject of the client's certificate (RFC 4514), where it has shown one.
  package let subject: String?
}

/// What came of sending, or of ending the sending side.
package enum Transmission {
  /// So many bytes were sent: at least one, or for `finishSending` none.
  case bytes(Int)
  /// Nothing can be sent before the socket is ready for this.
  case blocked(until: Readiness)
  /// The connection is dead.
  case broken
}

/// How the bytes of one connection get from and to its client: as they are, or through a protocol of its own such as
/// TLS.
///
/// The loop knows what the connection wants, and the transport what the socket has to become ready for before that can
/// go on. The two are independent: a transport may have to send before it can receive (an answer in a handshake) and the
/// other way round, and it may hold bytes while the socket is quiet.
///
/// The socket is in the poller for both directions, edge-triggered, as long as it is open. So `blocked(until:)` may only
/// be said when the socket itself has just refused that direction: then its readiness is reported once more. All calls
/// come from the loop's thread, and none may block. The loop closes the descriptor behind the last call.
package protocol Transport: AnyObject {
  /// Receives into `buffer`, whose first bytes it fills.
  func receive(into buffer: UnsafeMutableRawBufferPointer) -> Reception

  /// Sends what it can of the two spans, in this order; either may be empty, but not both. After `blocked`, the next call
  /// is given the same bytes again, perhaps at another place and with more behind them.
  func send(_ first: Span<UInt8>, _ second: Span<UInt8>) -> Transmission

  /// Ends the sending side; receiving goes on. Called again after `blocked`.
  func finishSending() -> Transmission

  /// False while a handshake has to be finished before a request can be received.
  var isEstablished: Bool { get }

  /// True where closing the socket tells the client as much as ending the sending side before that.
  var mayCloseAtOnce: Bool { get }

  /// nil where bytes pass as they are, and during the handshake.
  var security: TransportSecurity? { get }

  /// True when `receive` has bytes to give although the socket may be quiet, because another call has read them.
  var holdsInput: Bool { get }

  /// The poller has reported that the client ended its side, maybe behind bytes that are still to be received.
  func noteEnd()
}

/// Bytes as they are, over TCP.
package final class PlainTransport: Transport {
  private let descriptor: Int32
  private var isEndNoted = false

  /// - Parameter descriptor: a connected, non-blocking stream socket.
  package init(_ descriptor: Int32) {
    self.descriptor = descriptor
  }

  package func receive(into buffer: UnsafeMutableRawBufferPointer) -> Reception {
    // SAFETY: the kernel writes at most `buffer.count` bytes.
    let result = clinux_receive(descriptor, buffer.baseAddress, buffer.count)
    guard result > 0 else {
      return result == 0 ? .end : Self.isTemporary(result) ? .blocked(until: .readable) : .broken
    }
    // A short read has emptied the socket's queue, and what comes later is reported anew (epoll(7)). Only an end that has
    // been reported already would not be.
    return .bytes(result, isDrained: result < buffer.count && !isEndNoted)
  }

  package func send(_ first: Span<UInt8>, _ second: Span<UInt8>) -> Transmission {
    // SAFETY: both pointers are used only while their spans are alive, for exactly their lengths.
    let result = first.withUnsafeBytes { first in
      second.withUnsafeBytes { second in
        first.isEmpty
          ? clinux_send(descriptor, second.baseAddress, second.count, nil, 0)
          : clinux_send(descriptor, first.baseAddress, first.count, second.baseAddress, second.count)
      }
    }
    if result >= 0 { return .bytes(result) }
    return Self.isTemporary(result) ? .blocked(until: .writable) : .broken
  }

  package func finishSending() -> Transmission {
    shutdown(descriptor, Int32(SHUT_WR))
    return .bytes(0)
  }

  package var isEstablished: Bool { true }

  package var mayCloseAtOnce: Bool { true }

  package var security: TransportSecurity? { nil }

  package var holdsInput: Bool { false }

  package func noteEnd() { isEndNoted = true }

  private static func isTemporary(_ result: Int) -> Bool {
    let code = Int32(truncatingIfNeeded: -result)
    return code == EAGAIN || code == EWOULDBLOCK || code == EINTR
  }
}
