/// Removes the transfer coding from a body. Its contract is `partial`, `bad` or `consumed`, like that of `RequestParser`.
public struct BodyDecoder: Sendable {
  /// What `decode` made of its input.
  public enum Progress: Sendable, Equatable {
    /// All of the input is used up and the body goes on.
    case partial
    case bad(RequestFailure)
    /// The body ended after so many bytes of the input.
    case consumed(Int)
  }

  private enum State: Sendable {
    case data
    case chunkSize
    case chunkDataCR
    case chunkDataLF
    case trailers
    case done
  }

  /// Bytes that a declared length may reserve as soon as the first of them has arrived.
  private static let firstReservation = 65_536
  /// Most bytes of extensions in all chunks of one body. They cost work and carry nothing.
  private static let maxExtensionBytes = 16_384

  private let limit: Int
  private let isChunked: Bool
  private let keepsBytes: Bool
  private var state: State
  /// Bytes of the declared length, or of the current chunk, that have not arrived.
  private var remaining = 0
  private var sizeLine = ChunkSizeLine()
  private var extensionBytes = 0
  private var trailers: TrailerSection
  /// Bytes of the body so far, without the coding.
  public private(set) var byteCount = 0

  /// A decoder that throws 413 before it reads a byte beyond `limit`. With `keepsBytes` false the body is skipped.
  public init(
    _ framing: BodyFraming, limit: Int, keepsBytes: Bool = true, maxTrailerBytes: Int = 16_384, maxTrailers: Int = 100
  ) throws(RequestFailure) {
    self.limit = limit
    self.keepsBytes = keepsBytes
    trailers = TrailerSection(maxBytes: maxTrailerBytes, maxFields: maxTrailers)
    switch framing {
    case .none: (state, isChunked) = (.done, false)
    case .chunked: (state, isChunked) = (.chunkSize, true)
    case .length(let length):
      (state, isChunked) = (length == 0 ? .done : .data, false)
      try admit(length)
    }
  }

  /// True when the whole body has been decoded.
  public var isDone: Bool { state == .done }

  /// Appends what `input` holds of the body to `body`.
  public mutating func decode(_ input: Span<UInt8>, into body: inout [UInt8]) -> Progress {
    var at = 0
    do throws(RequestFailure) {
      while state != .done {
        guard at < input.count else { return .partial }
        if state == .data {
          let count = min(remaining, input.count &- at)
          if keepsBytes { append(input.extracting(at..<(at &+ count)), to: &body) }
          at &+= count
          byteCount &+= count
          remaining &-= count
          if remaining == 0 { state = isChunked ? .chunkDataCR : .done }
        } else {
          try take(input[at])
          at &+= 1
        }
      }
      return .consumed(at)
    } catch {
      return .bad(error)
    }
  }

  /// The same for a buffer whose first `start` bytes are used up.
  mutating func decode(_ buffer: [UInt8], from start: Int, into body: inout [UInt8]) -> Progress {
    decode(buffer.span.extracting(droppingFirst: start), into: &body)
  }

  private mutating func take(_ byte: UInt8) throws(RequestFailure) {
    switch state {
    case .chunkSize:
      let isEnd = try sizeLine.take(byte)
      guard extensionBytes + sizeLine.extensionBytes <= Self.maxExtensionBytes else {
        throw .bad("the chunk extensions are longer than \(Self.maxExtensionBytes) bytes")
      }
      guard isEnd else { break }
      extensionBytes += sizeLine.extensionBytes
      try admit(sizeLine.size)
      state = sizeLine.size == 0 ? .trailers : .data
      sizeLine = ChunkSizeLine()
    case .chunkDataCR:
      guard byte == ASCII.cr else { throw .bad("a chunk is longer than its size") }
      state = .chunkDataLF
    case .chunkDataLF:
      guard byte == ASCII.lf else { throw .bad("a chunk does not end in CRLF") }
      state = .chunkSize
    case .trailers:
      if try trailers.take(byte) { state = .done }
    case .data, .done: break
    }
  }

  /// Checks a declared length or chunk size against the limit, before its bytes arrive.
  private mutating func admit(_ size: Int) throws(RequestFailure) {
    guard size <= limit - byteCount else {
      throw RequestFailure(status: 413, reason: "the body is longer than \(limit) bytes")
    }
    remaining = size
  }

  /// Appends, growing a body of declared length fourfold at a time. So memory is taken only as bytes arrive, and growing
  /// still copies less than the length of the body in all.
  private func append(_ bytes: Span<UInt8>, to body: inout [UInt8]) {
    let needed = body.count &+ bytes.count
    if needed > body.capacity {
      let expected = body.count &+ remaining
      let grown = max(needed, isChunked ? body.capacity &* 2 : body.capacity &* 4)
      body.reserveCapacity(max(needed, min(isChunked ? grown : expected, max(grown, Self.firstReservation))))
    }
    body.append(copying: bytes)
  }
}
