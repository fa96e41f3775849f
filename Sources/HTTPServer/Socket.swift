import CLinux
import Platform

/// One connected, non-blocking stream socket. The owner closes it, once.
struct Socket {
  let descriptor: Int32

  /// How a transfer went.
  enum Transfer {
    case bytes(Int)
    /// The client ended its side.
    case end
    /// Nothing to read, or no room to write, for now.
    case blocked
    /// The connection is dead.
    case broken
  }

  /// Small answers go out at once, not when Nagle's algorithm has seen an acknowledgement.
  func disableNagle() {
    var on: Int32 = 1
    setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
  }

  /// Receives into `buffer`.
  func receive(into buffer: UnsafeMutableRawBufferPointer) -> Transfer {
    // SAFETY: the kernel writes at most `buffer.count` bytes.
    let got = clinux_receive(descriptor, buffer.baseAddress, buffer.count)
    return got == 0 ? .end : Self.transfer(got)
  }

  /// Sends what fits of the two spans, in order, with one call.
  func send(_ first: Span<UInt8>, _ second: Span<UInt8>) -> Transfer {
    // SAFETY: both pointers are used only while their spans are alive, for exactly their lengths.
    first.withUnsafeBytes { first in
      second.withUnsafeBytes { second in
        Self.transfer(
          first.isEmpty
            ? clinux_send(descriptor, second.baseAddress, second.count, nil, 0)
            : clinux_send(descriptor, first.baseAddress, first.count, second.baseAddress, second.count))
      }
    }
  }

  /// Ends the sending side.
  func shutdownSending() {
    shutdown(descriptor, Int32(SHUT_WR))
  }

  func close() { systemClose(descriptor) }

  private static func transfer(_ result: Int) -> Transfer {
    if result >= 0 { return .bytes(result) }
    let code = Int32(truncatingIfNeeded: -result)
    return code == EAGAIN || code == EWOULDBLOCK || code == EINTR ? .blocked : .broken
  }
}
