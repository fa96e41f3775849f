import HTTP1

/// The chunked transfer coding, and bodies of a declared length: what comes out must not depend on how the bytes arrive.
///
/// The input is the coded body, then the sizes of the pieces in which it arrives.
enum ChunksTarget {
  private struct Outcome: Equatable {
    var progress: BodyDecoder.Progress
    var body: [UInt8]
    /// Bytes of the input up to the end of the body.
    var used: Int
  }

  private static let limit = 4096

  static func run(_ input: [UInt8]) {
    var parts = Parts(input)
    let coded = parts.next()
    var choices = Choices(parts.next())
    var sizes: [Int] = []
    while !choices.isEmpty { sizes.append(1 + choices.byte() % 64) }
    check(.chunked, coded, sizes)
    if let first = coded.first { check(.length(Int(first)), Array(coded.dropFirst()), sizes) }
  }

  private static func check(_ framing: BodyFraming, _ coded: [UInt8], _ sizes: [Int]) {
    let whole = decode(framing, coded, sizes: [])
    let single = decode(framing, coded, sizes: [1])
    let pieces = decode(framing, coded, sizes: sizes)
    require(single == whole, "byte by byte \(single), as a whole \(whole)")
    require(pieces == whole, "in pieces \(pieces), as a whole \(whole)")
    require(whole.body.count <= limit, "a body of \(whole.body.count) bytes")
    guard case .consumed = whole.progress else { return }
    // What follows the body is not looked at, and without its last byte the body is not whole.
    let prefix = Array(coded[..<whole.used])
    require(decode(framing, prefix, sizes: []) == whole, "what follows the body changes it")
    if !prefix.isEmpty {
      let cut = decode(framing, Array(prefix.dropLast()), sizes: [])
      require(cut.progress == .partial, "the body ends twice: \(cut)")
    }
    if framing == .chunked {
      require(prefix.suffix(4) == [0x0D, 0x0A, 0x0D, 0x0A], "the body ends without an empty line")
      let again = decode(.chunked, encode(whole.body), sizes: sizes)
      require(again.body == whole.body && again.progress != .partial, "coded again it is \(again)")
    } else {
      require(whole.body == prefix, "a body of a declared length is changed")
    }
  }

  /// Decodes `coded` in pieces whose sizes repeat; all at once where there are none.
  private static func decode(_ framing: BodyFraming, _ coded: [UInt8], sizes: [Int]) -> Outcome {
    guard
      var decoder = try? BodyDecoder(framing, limit: limit, maxTrailerBytes: 256, maxTrailers: 4),
      var skipping = try? BodyDecoder(framing, limit: limit, keepsBytes: false, maxTrailerBytes: 256, maxTrailers: 4)
    else { finding("a body of at most 255 bytes is rejected") }
    var body: [UInt8] = []
    var nothing: [UInt8] = []
    var at = 0
    var turn = 0
    while true {
      let size = sizes.isEmpty ? coded.count : sizes[turn % sizes.count]
      let piece = coded.span.extracting(at..<min(coded.count, at + size))
      let progress = decoder.decode(piece, into: &body)
      require(skipping.decode(piece, into: &nothing) == progress, "skipping a body differs from reading it")
      require(decoder.byteCount == body.count || isBad(progress), "the decoder miscounts")
      require(nothing.isEmpty, "a skipped body is kept")
      switch progress {
      case .partial:
        require(!decoder.isDone, "a partial body is done")
        at += piece.count
        if at == coded.count { return Outcome(progress: .partial, body: body, used: at) }
      case .bad(let failure):
        require([400, 413, 431].contains(failure.status) && !failure.reason.isEmpty, "\(failure)")
        return Outcome(progress: progress, body: body, used: 0)
      case .consumed(let count):
        require(decoder.isDone && count <= piece.count, "the decoder used more than it was given")
        return Outcome(progress: .consumed(0), body: body, used: at + count)
      }
      turn += 1
    }
  }

  private static func isBad(_ progress: BodyDecoder.Progress) -> Bool {
    if case .bad = progress { return true }
    return false
  }

  private static func encode(_ body: [UInt8]) -> [UInt8] {
    guard !body.isEmpty else { return Array("0\r\n\r\n".utf8) }
    return Array("\(String(body.count, radix: 16))\r\n".utf8) + body + Array("\r\n0\r\n\r\n".utf8)
  }
}
