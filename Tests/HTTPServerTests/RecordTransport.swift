import HTTPServer
import Synchronization

/// A small protocol between TCP and HTTP that makes demands like those of TLS: all bytes are sent in records; received
/// data is passed on only after an acknowledgement has been written; and data is sent only after the client has granted
/// it.
///
/// A record consists of its kind, two bytes of length and that many bytes of payload.
enum Record {
  /// Bytes of HTTP, each XORed with `mask`.
  static let data: UInt8 = 0
  /// Grants the server one record of data.
  static let grant: UInt8 = 1
  /// Acknowledges one record of the client's data.
  static let acknowledgement: UInt8 = 2
  /// Has no meaning, but has to be written.
  static let padding: UInt8 = 3
  /// The server will send no more.
  static let end: UInt8 = 4

  static let mask: UInt8 = 0x5a
  /// The most bytes of HTTP in one record.
  static let most = 1000

  static func bytes(_ kind: UInt8, _ payload: some Collection<UInt8> = []) -> [UInt8] {
    [kind, UInt8(payload.count >> 8), UInt8(payload.count & 255)] + payload
  }

  /// Records that carry `bytes`.
  static func data(_ bytes: [UInt8]) -> [UInt8] {
    stride(from: 0, to: bytes.count, by: most).flatMap { start in
      self.bytes(data, bytes[start..<min(start + most, bytes.count)].map { $0 ^ mask })
    }
  }

  static func data(_ text: String) -> [UInt8] { data(Array(text.utf8)) }

  static func grants(_ count: Int) -> [UInt8] { (0..<count).flatMap { _ in bytes(grant) } }

  static func padding(_ count: Int) -> [UInt8] {
    stride(from: 0, to: count, by: 60_000).flatMap {
      bytes(padding, [UInt8](repeating: 0, count: min(60_000, count - $0)))
    }
  }

  /// Removes the first record from `raw` and returns it, or returns nil while it is incomplete.
  static func next(_ raw: inout [UInt8]) -> (kind: UInt8, payload: [UInt8])? {
    guard raw.count >= 3 else { return nil }
    let length = Int(raw[1]) << 8 | Int(raw[2])
    guard raw.count >= 3 + length else { return nil }
    let record = (raw[0], Array(raw[3..<(3 + length)]))
    raw.removeFirst(3 + length)
    return record
  }
}

/// The client's side of the protocol. It also counts acknowledgements and bytes of padding.
final class RecordDecoder {
  private var raw: [UInt8] = []
  private(set) var acknowledgements = 0
  private(set) var padding = 0
  private(set) var hasEnded = false

  func decode(_ bytes: [UInt8]) -> [UInt8] {
    raw += bytes
    var decoded: [UInt8] = []
    while let (kind, payload) = Record.next(&raw) {
      switch kind {
      case Record.data: decoded += payload.map { $0 ^ Record.mask }
      case Record.acknowledgement: acknowledgements += 1
      case Record.padding: padding += payload.count
      case Record.end: hasEnded = true
      default: break
      }
    }
    return decoded
  }
}

/// Counts what happened in the transports of one server.
final class RecordLog: Sendable {
  /// How often receiving had to wait until something could be written.
  let receiveWaitedForWritable = Atomic(0)
  /// How often sending had to wait until something could be read.
  let sendWaitedForReadable = Atomic(0)
  /// How often ending the sending side had to wait.
  let finishWaited = Atomic(0)
  /// How often sending read data that receiving had not passed on yet.
  let sendReadData = Atomic(0)
}

/// The server's side of the protocol.
final class RecordTransport: Transport {
  private let plain: PlainTransport
  private let piece: Int
  private let farewell: Int
  private let log: RecordLog
  private let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: 4096, alignment: 1)
  private var rawInput: [UInt8] = []
  private var rawOutput: [UInt8]
  /// Bytes of HTTP that `receive` has not passed on yet.
  private var held: [UInt8] = []
  private var grants = 0
  /// Bytes of HTTP in `rawOutput` that have not been reported as sent.
  private var unreported = 0
  private var isFinishing = false

  /// - Parameters:
  ///   - piece: the most bytes that one call to `receive` passes on.
  ///   - greeting: the number of bytes of padding to write before anything else.
  ///   - farewell: the number of bytes of padding to write before the sending side ends.
  init(_ descriptor: Int32, piece: Int, greeting: Int = 0, farewell: Int = 0, log: RecordLog) {
    plain = PlainTransport(descriptor)
    self.piece = piece
    self.farewell = farewell
    self.log = log
    rawOutput = Record.padding(greeting)
  }

  deinit { scratch.deallocate() }

  func receive(into buffer: UnsafeMutableRawBufferPointer) -> Reception {
    while true {
      if let stop = flush() {
        if case .blocked = stop { log.receiveWaitedForWritable.add(1, ordering: .relaxed) }
        return stop
      }
      let count = min(piece, held.count, buffer.count)
      if count > 0 {
        buffer.copyBytes(from: held[..<count])
        held.removeFirst(count)
        return .bytes(count, isDrained: false)
      }
      if let stop = fill() { return stop }
    }
  }

  func send(_ first: Span<UInt8>, _ second: Span<UInt8>) -> Transmission {
    while true {
      switch flush() {
      case .blocked(let readiness): return .blocked(until: readiness)
      case .some: return .broken
      case nil: break
      }
      if unreported > 0 {
        defer { unreported = 0 }
        return .bytes(unreported)
      }
      if grants > 0 {
        grants -= 1
        let span = first.isEmpty ? second : first
        let bytes = (0..<min(Record.most, span.count)).map { span[$0] }
        rawOutput += Record.data(bytes)
        unreported = bytes.count
        continue
      }
      let before = held.count
      switch fill() {
      case .blocked(let readiness):
        log.sendWaitedForReadable.add(1, ordering: .relaxed)
        return .blocked(until: readiness)
      case .some: return .broken
      case nil: if held.count > before { log.sendReadData.add(1, ordering: .relaxed) }
      }
    }
  }

  func finishSending() -> Transmission {
    if !isFinishing { rawOutput += Record.padding(farewell) + Record.bytes(Record.end) }
    isFinishing = true
    switch flush() {
    case .blocked(let readiness):
      log.finishWaited.add(1, ordering: .relaxed)
      return .blocked(until: readiness)
    case .some: return .broken
    case nil: return plain.finishSending()
    }
  }

  var isEstablished: Bool { true }
  var mayCloseAtOnce: Bool { false }

  var security: TransportSecurity? { nil }

  var holdsInput: Bool { !held.isEmpty }

  func noteEnd() { plain.noteEnd() }

  /// Writes the pending output, and returns nil when all of it is written.
  private func flush() -> Reception? {
    while !rawOutput.isEmpty {
      switch plain.send(rawOutput.span, rawOutput.span.extracting(first: 0)) {
      case .bytes(let count): rawOutput.removeFirst(count)
      case .blocked(let readiness): return .blocked(until: readiness)
      case .broken: return .broken
      }
    }
    return nil
  }

  /// Reads once, and returns nil when something was read.
  private func fill() -> Reception? {
    switch plain.receive(into: scratch) {
    case .bytes(let count, _): rawInput += scratch[..<count]
    case let stop: return stop
    }
    while let (kind, payload) = Record.next(&rawInput) {
      switch kind {
      case Record.data:
        held += payload.map { $0 ^ Record.mask }
        rawOutput += Record.bytes(Record.acknowledgement)
      case Record.grant: grants += 1
      default: return .broken
      }
    }
    return nil
  }
}

/// Sends and receives bytes unchanged, and counts the calls.
final class CountingTransport: Transport {
  final class Calls: Sendable {
    let receive = Atomic(0)
    let send = Atomic(0)
  }

  private let plain: PlainTransport
  private let calls: Calls

  init(_ descriptor: Int32, _ calls: Calls) {
    plain = PlainTransport(descriptor)
    self.calls = calls
  }

  func receive(into buffer: UnsafeMutableRawBufferPointer) -> Reception {
    calls.receive.add(1, ordering: .relaxed)
    return plain.receive(into: buffer)
  }

  func send(_ first: Span<UInt8>, _ second: Span<UInt8>) -> Transmission {
    calls.send.add(1, ordering: .relaxed)
    return plain.send(first, second)
  }

  func finishSending() -> Transmission { plain.finishSending() }
  var isEstablished: Bool { true }
  var mayCloseAtOnce: Bool { false }

  var security: TransportSecurity? { nil }

  var holdsInput: Bool { false }
  func noteEnd() { plain.noteEnd() }
}
