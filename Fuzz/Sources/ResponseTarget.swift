import HTTPClient

/// Answers of a server, as the commands read them: the outcome must not depend on how the bytes arrive.
///
/// The input is the answers of a connection, then the sizes of the pieces in which they arrive.
enum ResponseTarget {
  private static let limit = 4096

  static func run(_ input: [UInt8]) {
    var parts = Parts(input)
    let bytes = parts.next()
    var choices = Choices(parts.next())
    var sizes: [Int] = []
    while !choices.isEmpty { sizes.append(1 + choices.byte() % 64) }
    let whole = outcome(bytes, sizes: [])
    require(outcome(bytes, sizes: [1]) == whole, "byte by byte, the answers differ from \(whole)")
    require(outcome(bytes, sizes: sizes) == whole, "in pieces, the answers differ from \(whole)")
  }

  /// Up to three answers, and why there are no more.
  private static func outcome(_ bytes: [UInt8], sizes: [Int]) -> [String] {
    var at = 0
    var turn = 0
    func fill() -> [UInt8] {
      guard at < bytes.count else { return [] }
      let size = sizes.isEmpty ? bytes.count : sizes[turn % sizes.count]
      turn += 1
      let piece = Array(bytes[at..<min(bytes.count, at + size)])
      at += piece.count
      return piece
    }
    var reader = ResponseReader()
    var outcome: [String] = []
    do throws(ClientError) {
      for isHead in [false, false, true] {
        let response = try reader.read(isHead: isHead, limit: limit, sink: nil, fill: fill)
        require(response.body.count <= limit, "a body of \(response.body.count) bytes")
        require((200...599).contains(response.status), "the status \(response.status)")
        outcome.append("\(response.status) \(response.fields) \(response.body) \(reader.persists)")
        guard reader.persists else { return outcome }
      }
    } catch {
      outcome.append("\(error)")
    }
    return outcome
  }
}
