/// Reads answers from a stream of bytes (RFC 9112): a head, then a body whose end is given by Content-Length, by
/// chunks, or by the end of the stream.
public struct ResponseReader {
  /// Returns the next bytes of the stream; none at its end.
  public typealias Fill = () throws(ClientError) -> [UInt8]
  /// Takes a piece of a body.
  public typealias Sink = (ArraySlice<UInt8>) throws(ClientError) -> Void

  private static let longestHead = 65_536
  private static let longestLine = 8192

  private var buffer: [UInt8] = []
  private var start = 0
  /// Whether the connection can be used for another exchange after the last answer.
  public private(set) var persists = false

  public init() {}

  /// Reads one answer; interim answers (1xx) before it are skipped.
  ///
  /// - Parameters:
  ///   - isHead: whether the request was HEAD, whose answer has no body.
  ///   - limit: the most bytes of a body that is kept in memory.
  ///   - sink: takes the body of a successful answer (2xx) piece by piece, without a limit.
  ///   - fill: returns the next bytes.
  /// - Throws: ``ClientError``, including those of `sink` and `fill`.
  public mutating func read(isHead: Bool, limit: Int, sink: Sink?, fill: Fill) throws(ClientError) -> ClientResponse {
    var response: ClientResponse
    repeat { response = try readHead(fill) } while (100...199).contains(response.status)
    guard !isHead, response.status != 204, response.status != 304 else { return response }
    var body: [UInt8] = []
    let taken = response.isSuccess ? sink : nil
    func take(_ piece: ArraySlice<UInt8>) throws(ClientError) {
      if let taken { return try taken(piece) }
      guard piece.count <= limit - body.count else {
        throw ClientError(.unreadable, "the answer has more than \(limit) bytes")
      }
      body += piece
    }
    if let coding = response.field("transfer-encoding") {
      guard coding.lowercased() == "chunked" else {
        throw ClientError(.unreadable, "the answer has the unknown transfer coding '\(coding)'")
      }
      try readChunks(take, fill)
    } else if let text = response.field("content-length") {
      guard let length = Self.number(text, radix: 10) else {
        throw ClientError(.unreadable, "the answer has the invalid Content-Length '\(text)'")
      }
      try readBody(length, take, fill)
    } else {
      persists = false
      while try more(fill) { try drain(.max, take) }
    }
    response.body = body
    return response
  }

  private mutating func readHead(_ fill: Fill) throws(ClientError) -> ClientResponse {
    var total = 0
    func line(_ reader: inout ResponseReader) throws(ClientError) -> String {
      let line = try reader.readLine(fill)
      total += line.utf8.count + 2
      guard total <= Self.longestHead else {
        throw ClientError(.unreadable, "the answer's head has more than \(Self.longestHead) bytes")
      }
      return line
    }
    let first = try line(&self).split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false)
    guard first.count >= 2, ["HTTP/1.1", "HTTP/1.0"].contains(first[0]), let status = Int(first[1]),
      (100...599).contains(status)
    else {
      throw ClientError(.unreadable, "the answer is not HTTP/1.1")
    }
    var fields: [(name: String, value: String)] = []
    while case let text = try line(&self), !text.isEmpty {
      guard let colon = text.firstIndex(of: ":") else {
        throw ClientError(.unreadable, "the answer has a field without a colon")
      }
      let value = text[colon...].dropFirst()
      fields.append((text[..<colon].lowercased(), Self.trimmed(value)))
    }
    let response = ClientResponse(status: status, fields: fields)
    let said = response.field("connection")?.lowercased() ?? ""
    persists = first[0] == "HTTP/1.1" ? !said.contains("close") : said.contains("keep-alive")
    return response
  }

  private mutating func readChunks(_ take: Sink, _ fill: Fill) throws(ClientError) {
    while true {
      let line = try readLine(fill)
      let size = Self.trimmed(line.prefix { $0 != ";" })
      guard let length = Self.number(size, radix: 16) else {
        throw ClientError(.unreadable, "the answer has the invalid chunk size '\(size)'")
      }
      guard length > 0 else { break }
      try readBody(length, take, fill)
      guard try readLine(fill).isEmpty else {
        throw ClientError(.unreadable, "a chunk of the answer does not end where its size says")
      }
    }
    var trailers = 0
    while case let line = try readLine(fill), !line.isEmpty {
      trailers += line.utf8.count + 2
      guard trailers <= Self.longestHead else {
        throw ClientError(.unreadable, "the answer has more than \(Self.longestHead) bytes behind its chunks")
      }
    }
  }

  private mutating func readBody(_ length: Int, _ take: Sink, _ fill: Fill) throws(ClientError) {
    var missing = length
    while missing > 0 {
      guard try more(fill) else { throw Self.cutOff }
      missing -= try drain(missing, take)
    }
  }

  /// Passes at most `most` of the buffered bytes to `take`.
  ///
  /// - Returns: their number.
  @discardableResult
  private mutating func drain(_ most: Int, _ take: Sink) throws(ClientError) -> Int {
    let end = start + min(most, buffer.count - start)
    let count = end - start
    try take(buffer[start..<end])
    start = end
    return count
  }

  /// Fills the buffer when it is empty.
  ///
  /// - Returns: false at the end of the stream.
  private mutating func more(_ fill: Fill) throws(ClientError) -> Bool {
    guard start == buffer.count else { return true }
    buffer = try fill()
    start = 0
    return !buffer.isEmpty
  }

  /// Reads a line without its line break.
  private mutating func readLine(_ fill: Fill) throws(ClientError) -> String {
    var line: [UInt8] = []
    while true {
      guard try more(fill) else { throw Self.cutOff }
      let rest = buffer[start...]
      let end = rest.firstIndex(of: 0x0A)
      line += rest[..<(end ?? rest.endIndex)]
      start = end.map { $0 + 1 } ?? rest.endIndex
      guard line.count <= Self.longestLine else {
        throw ClientError(.unreadable, "the answer has a line of more than \(Self.longestLine) bytes")
      }
      guard end != nil else { continue }
      if line.last == 0x0D { line.removeLast() }
      return String(decoding: line, as: UTF8.self)
    }
  }

  private static let cutOff = ClientError(.interrupted, "the connection ended before the answer was complete")

  /// Reads a number of digits only; nil for any other text, and for a number that an `Int` does not hold.
  private static func number(_ text: String, radix: Int) -> Int? {
    guard let first = text.utf8.first, first != 0x2B, first != 0x2D else { return nil }
    return Int(text, radix: radix)
  }

  private static func trimmed(_ text: Substring) -> String {
    var text = text
    while let first = text.utf8.first, first == 0x20 || first == 0x09 { text = text.dropFirst() }
    while let last = text.utf8.last, last == 0x20 || last == 0x09 { text = text.dropLast() }
    return String(text)
  }
}
