import Platform

/// A blocking client on loopback that sends exactly the bytes that it is given. A read gives up after ten seconds.
final class Client {
  /// The parts of an answer that the tests compare.
  struct Answer: Equatable {
    var status: Int
    var head: String
    var body: [UInt8]

    var text: String { String(decoding: body, as: UTF8.self) }
    var closes: Bool { head.contains("\r\nConnection: close\r\n") }
  }

  private var descriptor: Int32
  private var buffer: [UInt8] = []
  private let decode: ([UInt8]) -> [UInt8]

  /// - Parameter decode: turns the bytes that arrive from the server, in order, into those of HTTP.
  init(port: Int, receiveBuffer: Int32 = 0, decode: @escaping ([UInt8]) -> [UInt8] = { $0 }) {
    self.decode = decode
    descriptor = socket(AF_INET, streamSocket, 0)
    var patience = timeval(tv_sec: 10, tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
    setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
    if receiveBuffer > 0 {
      var size = receiveBuffer
      setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<Int32>.size))
    }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = UInt16(truncatingIfNeeded: port).bigEndian
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        _ = connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
  }

  deinit { disconnect() }

  /// Returns false when the server does not accept all of the bytes.
  @discardableResult
  func send(_ bytes: [UInt8]) -> Bool {
    var sent = 0
    while sent < bytes.count {
      let count = bytes[sent...].withUnsafeBytes { systemSend(descriptor, $0) }
      guard count > 0 else { return false }
      sent += count
    }
    return true
  }

  @discardableResult
  func send(_ text: String) -> Bool { send(Array(text.utf8)) }

  /// Returns the next answer, or nil when it is still incomplete at the end of the connection or after ten seconds
  /// without input.
  func receive(isHead: Bool = false) -> Answer? {
    var searched = 0
    while true {
      if let end = headEnd(from: searched) {
        let head = String(decoding: buffer[..<end], as: UTF8.self)
        let length = isHead ? 0 : Self.length(in: head)
        while buffer.count < end + length { guard fill() else { return nil } }
        let answer = Answer(status: Self.status(in: head), head: head, body: Array(buffer[end..<(end + length)]))
        buffer.removeFirst(end + length)
        return answer
      }
      searched = max(0, buffer.count - 3)
      guard fill() else { return nil }
    }
  }

  /// Whether the server has ended the connection without sending anything more.
  func isAtEnd() -> Bool {
    guard buffer.isEmpty else { return false }
    var byte: UInt8 = 0
    return recv(descriptor, &byte, 1, 0) == 0
  }

  /// Ends the sending side only.
  func finishSending() {
    shutdown(descriptor, Int32(SHUT_WR))
  }

  /// Ends the connection with a reset.
  func reset() {
    var now = linger(l_onoff: 1, l_linger: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &now, socklen_t(MemoryLayout<linger>.size))
    disconnect()
  }

  func disconnect() {
    guard descriptor >= 0 else { return }
    close(descriptor)
    descriptor = -1
  }

  private func fill() -> Bool {
    var piece = [UInt8](repeating: 0, count: 65_536)
    let count = recv(descriptor, &piece, piece.count, 0)
    guard count > 0 else { return false }
    buffer += decode(Array(piece[..<count]))
    return true
  }

  private func headEnd(from start: Int) -> Int? {
    guard buffer.count >= 4 else { return nil }
    for at in start..<(buffer.count - 3) where buffer[at] == 13 {
      if buffer[at + 1] == 10, buffer[at + 2] == 13, buffer[at + 3] == 10 { return at + 4 }
    }
    return nil
  }

  private static func status(in head: String) -> Int {
    Int(head.dropFirst(9).prefix(3)) ?? 0
  }

  private static func length(in head: String) -> Int {
    for line in head.split(separator: "\r\n") where line.hasPrefix("Content-Length: ") {
      return Int(line.dropFirst(16)) ?? 0
    }
    return 0
  }
}
