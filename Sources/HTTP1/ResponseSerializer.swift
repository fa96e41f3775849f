/// Writes responses (RFC 9112, 4 and 6.3). Owns the Date field, which it renews when told a new second.
public struct ResponseSerializer: Sendable {
  /// How the answer stands to its request and connection.
  public struct Context: Sendable {
    /// The request's method was HEAD.
    public var isHead = false
    /// The request was HTTP/1.0, which must be told that the connection persists.
    public var isHTTP10 = false
    /// No request will be read after this answer.
    public var closes = false

    public init(isHead: Bool = false, isHTTP10: Bool = false, closes: Bool = false) {
      self.isHead = isHead
      self.isHTTP10 = isHTTP10
      self.closes = closes
    }
  }

  /// Bodies up to this size are copied behind their head, so that one system call sends both.
  static let inlineBodyBytes = 16_384

  private var second = -1
  private var dateLine: [UInt8] = []

  /// A serializer whose clock stands at `unixSeconds`.
  public init(unixSeconds: Int = 0) {
    renew(unixSeconds: unixSeconds)
  }

  /// Sets the clock of the Date field; costs a comparison while the second is the same.
  public mutating func renew(unixSeconds: Int) {
    guard unixSeconds != second else { return }
    second = unixSeconds
    dateLine = Array("Date: ".utf8)
    dateLine += HTTPDate.bytes(unixSeconds: unixSeconds)
    dateLine.append("\r\n")
  }

  /// Appends head and body to `output`.
  public func write(_ response: Response, _ context: Context, to output: inout OutputQueue) {
    writeHead(response, context, to: &output.bytes)
    guard !context.isHead, Self.mayHaveBody(response.status) else { return }
    if let stream = response.stream { return output.append(stream: stream) }
    guard !response.body.isEmpty else { return }
    output.append(body: response.body, inlineLimit: Self.inlineBodyBytes)
  }

  /// The whole message as one array, for a body that is not a stream.
  public func bytes(_ response: Response, _ context: Context) -> [UInt8] {
    var output: [UInt8] = []
    writeHead(response, context, to: &output)
    if !context.isHead, Self.mayHaveBody(response.status) { output += response.body }
    return output
  }

  private func writeHead(_ response: Response, _ context: Context, to output: inout [UInt8]) {
    let line = Self.statusLine(response.status)
    if line.utf8CodeUnitCount > 0 {
      output.append(line)
    } else {
      // Anything outside 200 to 599 is a handler's mistake, and a client would take 1xx for an interim answer.
      output.append("HTTP/1.1 ")
      output.append(decimal: (200...599).contains(response.status) ? response.status : 500)
      output.append(" \r\n")
    }
    output += dateLine
    response.fields.write(to: &output)
    // 204 has no Content-Length (RFC 9110, 8.6); 304's would describe another representation.
    if Self.mayHaveBody(response.status) {
      output.append("Content-Length: ")
      output.append(decimal: response.stream?.count ?? response.body.count)
      output.append("\r\n")
    }
    if context.closes {
      output.append("Connection: close\r\n")
    } else if context.isHTTP10 {
      output.append("Connection: keep-alive\r\n")
    }
    output.append("\r\n")
  }

  private static func mayHaveBody(_ status: Int) -> Bool { status != 204 && status != 304 }
}

extension HTTPFields {
  /// Writes the lines a handler may set. Framing fields are the serializer's own, and a line that would split the
  /// response is left out: nothing from a request may become a field of an answer that way.
  fileprivate func write(to output: inout [UInt8]) {
    for line in lines {
      let name = bytes[Int(line.nameStart)..<Int(line.nameEnd)]
      let value = bytes[Int(line.valueStart)..<Int(line.valueEnd)]
      guard !name.isEmpty, name.allSatisfy(ByteSet.token.contains), value.allSatisfy(ASCII.isFieldValue) else {
        continue
      }
      switch name.count {
      case 4 where name.equals("date"): continue
      case 10 where name.equals("connection") || name.equals("keep-alive"): continue
      case 14 where name.equals("content-length"): continue
      case 17 where name.equals("transfer-encoding"): continue
      default: break
      }
      output += name
      output.append(": ")
      output += value
      output.append("\r\n")
    }
  }
}

extension Array where Element == UInt8 {
  /// Appends a non-negative number in decimal.
  mutating func append(decimal number: Int) {
    var divisor = 1
    while number / divisor >= 10 { divisor *= 10 }
    while divisor > 0 {
      append(ASCII.zero + UInt8(truncatingIfNeeded: number / divisor % 10))
      divisor /= 10
    }
  }
}
