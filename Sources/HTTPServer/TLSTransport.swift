import COpenSSL
import Platform

/// TLS over TCP (RFC 8446, RFC 5246), by OpenSSL.
final class TLSTransport: Transport {
  private enum Phase {
    case handshake
    case open
    /// The client has sent a plain HTTP request. It gets its answer as it would understand it.
    case plain
  }

  private let descriptor: Int32
  private let plain: PlainTransport
  // SAFETY: only the loop's thread uses it, and it is freed with the transport.
  private let session: OpaquePointer
  private var phase = Phase.handshake
  private var isEndNoted = false

  /// - Parameter descriptor: a connected, non-blocking stream socket.
  /// - Returns: nil when there is no memory for a session.
  init?(_ descriptor: Int32, _ context: TLSContext) {
    guard let session = context.session(descriptor) else { return nil }
    self.descriptor = descriptor
    self.session = session
    plain = PlainTransport(descriptor)
  }

  deinit { nf_tls_session_free(session) }

  var isEstablished: Bool { phase != .handshake }

  /// The client is to be told by close_notify that the answer has ended (RFC 8446, 6.1).
  var mayCloseAtOnce: Bool { false }

  var security: TransportSecurity? {
    guard phase == .open else { return nil }
    var subject = [CChar](repeating: 0, count: 1024)
    // SAFETY: the call writes at most `subject.count` bytes; the version is a literal of the library.
    let length = nf_tls_peer(session, &subject, subject.count)
    return TransportSecurity(
      version: String(cString: nf_tls_version(session)), isResumed: nf_tls_resumed(session) != 0,
      subject: length == 0
        ? nil : String(decoding: subject[..<length].map { UInt8(bitPattern: $0) }, as: UTF8.self))
  }

  func receive(into buffer: UnsafeMutableRawBufferPointer) -> Reception {
    if phase == .handshake {
      switch shakeHands() {
      case 1: break
      case Int(NF_TLS_NOT_TLS): return .notSecured
      case let result: return Self.reception(result)
      }
    }
    guard phase == .open else { return plain.receive(into: buffer) }
    // SAFETY: the session writes at most `buffer.count` bytes.
    let result = nf_tls_read(session, buffer.baseAddress, buffer.count)
    guard result > 0 else { return Self.reception(result) }
    // What is left of a read-ahead, or in the socket, is not reported again.
    let isDrained = nf_tls_was_drained(session) != 0 && nf_tls_holds_input(session) == 0 && !isEndNoted
    return .bytes(result, isDrained: isDrained)
  }

  func send(_ first: Span<UInt8>, _ second: Span<UInt8>) -> Transmission {
    if phase == .handshake {
      let result = shakeHands()
      guard result == 1 || result == Int(NF_TLS_NOT_TLS) else { return Self.transmission(result) }
    }
    guard phase == .open else { return plain.send(first, second) }
    // SAFETY: the pointer is used only while its span is alive, for exactly its length.
    let result = (first.isEmpty ? second : first).withUnsafeBytes { nf_tls_write(session, $0.baseAddress, $0.count) }
    return result > 0 ? .bytes(result) : Self.transmission(result)
  }

  func finishSending() -> Transmission {
    if phase == .open {
      let result = nf_tls_finish(session)
      guard result == 1 else { return Self.transmission(result) }
    }
    return plain.finishSending()
  }

  var holdsInput: Bool { phase == .open && nf_tls_holds_input(session) != 0 }

  func noteEnd() {
    isEndNoted = true
    plain.noteEnd()
  }

  /// - Returns: 1 when the handshake is done, otherwise what `nf_tls_handshake` says.
  private func shakeHands() -> Int {
    let result = nf_tls_handshake(session)
    if result == 1 { phase = .open }
    if result == Int(NF_TLS_NOT_TLS) { phase = .plain }
    return result
  }

  private static func reception(_ result: Int) -> Reception {
    switch result {
    case Int(NF_TLS_END): .end
    case Int(NF_TLS_WANTS_READ): .blocked(until: .readable)
    case Int(NF_TLS_WANTS_WRITE): .blocked(until: .writable)
    default: .broken
    }
  }

  private static func transmission(_ result: Int) -> Transmission {
    switch result {
    case Int(NF_TLS_WANTS_READ): .blocked(until: .readable)
    case Int(NF_TLS_WANTS_WRITE): .blocked(until: .writable)
    default: .broken
    }
  }
}
