/// Writes responses (RFC 9112, 4 and 6.3). It keeps the Date field, and writes it anew only when the second changes.
public struct ResponseSerializer: Sendable {
  /// What the form of an answer depends on beside the answer itself.
  public struct Context: Sendable {
    /// The request's method was HEAD.
    public var isHead = false
    /// The request was HTTP/1.0, whose client must be told that the connection persists.
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

  /// Sets the clock of the Date field. While the second is the same, that costs one comparison.
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
    if let stream = response.stream { return output.append(stream: stream, inChunks: !context.isHTTP10) }
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
      // A status outside 200 to 599 is a handler's mistake, and a client would take 1xx for an interim answer.
      output.append("HTTP/1.1 ")
      output.append(decimal: (200...599).contains(response.status) ? response.status : 500)
      output.append(" \r\n")
    }
    output += dateLine
    response.fields.write(to: &output)
    // 204 has no Content-Length (RFC 9110, 8.6); 304's would describe another representation.
    if Self.mayHaveBody(response.status) {
      if let count = response.byteCount {
        output.append("Content-Length: ")
        output.append(decimal: count)
        output.append("\r\n")
      } else if !context.isHTTP10 {
        output.append("Transfer-Encoding: chunked\r\n")
      }
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
  /// Writes the lines that a handler may set.
  fileprivate func write(to output: inout [UInt8]) {
    if isReadyToSend { return output.append(copying: bytes.span) }
    for line in lines where maySend(line) {
      output += bytes[Int(line.nameStart)..<Int(line.nameEnd)]
      output.append(": ")
      output += bytes[Int(line.valueStart)..<Int(line.valueEnd)]
      output.append("\r\n")
    }
  }

  /// Framing fields are the serializer's own. A line that would split the response is left out, so that nothing that a client sent can
  /// add a field to an answer.
  func maySend(_ line: Line) -> Bool {
    let all = bytes.span
    let name = all.extracting(Int(line.nameStart)..<Int(line.nameEnd))
    let value = all.extracting(Int(line.valueStart)..<Int(line.valueEnd))
    guard !name.isEmpty, name.indices.allSatisfy({ ByteSet.token.contains(name[$0]) }),
      value.indices.allSatisfy({ ASCII.isFieldValue(value[$0]) })
    else { return false }
    return switch name.count {
    case 4: !line.isNamed("date", in: bytes)
    case 10: !line.isNamed("connection", in: bytes) && !line.isNamed("keep-alive", in: bytes)
    case 14: !line.isNamed("content-length", in: bytes)
    case 17: !line.isNamed("transfer-encoding", in: bytes)
    default: true
    }
  }
}

extension Array where Element == UInt8 {
  /// Appends a non-negative number in decimal.
  fileprivate mutating func append(decimal number: Int) {
    precondition(number >= 0, "only non-negative numbers are written")
    var divisor = 1
    while number / divisor >= 10 { divisor *= 10 }
    while divisor > 0 {
      append(ASCII.zero + UInt8(truncatingIfNeeded: number / divisor % 10))
      divisor /= 10
    }
  }
}

extension ResponseSerializer {
  /// The status line. A status without a registered phrase has an empty one (RFC 9112, 4).
  static func statusLine(_ status: Int) -> StaticString {
    switch status {
    case 200: "HTTP/1.1 200 OK\r\n"
    case 201: "HTTP/1.1 201 Created\r\n"
    case 202: "HTTP/1.1 202 Accepted\r\n"
    case 204: "HTTP/1.1 204 No Content\r\n"
    case 301: "HTTP/1.1 301 Moved Permanently\r\n"
    case 302: "HTTP/1.1 302 Found\r\n"
    case 303: "HTTP/1.1 303 See Other\r\n"
    case 304: "HTTP/1.1 304 Not Modified\r\n"
    case 307: "HTTP/1.1 307 Temporary Redirect\r\n"
    case 308: "HTTP/1.1 308 Permanent Redirect\r\n"
    case 400: "HTTP/1.1 400 Bad Request\r\n"
    case 401: "HTTP/1.1 401 Unauthorized\r\n"
    case 403: "HTTP/1.1 403 Forbidden\r\n"
    case 404: "HTTP/1.1 404 Not Found\r\n"
    case 405: "HTTP/1.1 405 Method Not Allowed\r\n"
    case 406: "HTTP/1.1 406 Not Acceptable\r\n"
    case 408: "HTTP/1.1 408 Request Timeout\r\n"
    case 409: "HTTP/1.1 409 Conflict\r\n"
    case 410: "HTTP/1.1 410 Gone\r\n"
    case 411: "HTTP/1.1 411 Length Required\r\n"
    case 412: "HTTP/1.1 412 Precondition Failed\r\n"
    case 413: "HTTP/1.1 413 Content Too Large\r\n"
    case 414: "HTTP/1.1 414 URI Too Long\r\n"
    case 415: "HTTP/1.1 415 Unsupported Media Type\r\n"
    case 417: "HTTP/1.1 417 Expectation Failed\r\n"
    case 421: "HTTP/1.1 421 Misdirected Request\r\n"
    case 422: "HTTP/1.1 422 Unprocessable Content\r\n"
    case 426: "HTTP/1.1 426 Upgrade Required\r\n"
    case 429: "HTTP/1.1 429 Too Many Requests\r\n"
    case 431: "HTTP/1.1 431 Request Header Fields Too Large\r\n"
    case 500: "HTTP/1.1 500 Internal Server Error\r\n"
    case 501: "HTTP/1.1 501 Not Implemented\r\n"
    case 502: "HTTP/1.1 502 Bad Gateway\r\n"
    case 503: "HTTP/1.1 503 Service Unavailable\r\n"
    case 504: "HTTP/1.1 504 Gateway Timeout\r\n"
    case 505: "HTTP/1.1 505 HTTP Version Not Supported\r\n"
    case 507: "HTTP/1.1 507 Insufficient Storage\r\n"
    default: ""
    }
  }
}

/// Dates as HTTP writes them: IMF-fixdate (RFC 9110, 5.6.7). The arithmetic is done here, because the C library's
/// functions are slow, depend on the locale or are not thread-safe.
public enum HTTPDate {
  private static let days = Array("ThuFriSatSunMonTueWed".utf8)
  private static let months = Array("JanFebMarAprMayJunJulAugSepOctNovDec".utf8)

  /// For instance `Sun, 06 Nov 1994 08:49:37 GMT`. Times before 1970 become its first second, times beyond 9999 its last.
  public static func bytes(unixSeconds: Int) -> [UInt8] {
    let seconds = max(0, min(unixSeconds, 253_402_300_799))
    let day = seconds / 86_400
    let (year, month, dayOfMonth) = civil(day)
    let clock = seconds % 86_400

    var text: [UInt8] = []
    text.reserveCapacity(29)
    text += days[(day % 7 * 3)..<(day % 7 * 3 + 3)]
    text.append(", ")
    appendTwoDigits(dayOfMonth, to: &text)
    text.append(ASCII.space)
    text += months[(month * 3 - 3)..<(month * 3)]
    text.append(ASCII.space)
    appendTwoDigits(year / 100, to: &text)
    appendTwoDigits(year % 100, to: &text)
    text.append(ASCII.space)
    appendTwoDigits(clock / 3600, to: &text)
    text.append(ASCII.colon)
    appendTwoDigits(clock / 60 % 60, to: &text)
    text.append(ASCII.colon)
    appendTwoDigits(clock % 60, to: &text)
    text.append(" GMT")
    return text
  }

  /// Year, month (1 to 12) and day (1 to 31) of a day counted from 1970-01-01, in the Gregorian calendar.
  private static func civil(_ day: Int) -> (year: Int, month: Int, day: Int) {
    var year = 1970 + day / 366  // never late; early by a few years at most
    var rest = day - daysBefore(year)
    while rest >= (isLeap(year) ? 366 : 365) {
      rest -= isLeap(year) ? 366 : 365
      year += 1
    }
    let lengths = [31, isLeap(year) ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    var month = 0
    while rest >= lengths[month] {
      rest -= lengths[month]
      month += 1
    }
    return (year, month + 1, rest + 1)
  }

  /// Days from 1970-01-01 to the first day of a year.
  private static func daysBefore(_ year: Int) -> Int {
    let past = year - 1
    return (year - 1970) * 365 + (past / 4 - past / 100 + past / 400) - (1969 / 4 - 1969 / 100 + 1969 / 400)
  }

  private static func isLeap(_ year: Int) -> Bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
  }

  private static func appendTwoDigits(_ number: Int, to text: inout [UInt8]) {
    text.append(ASCII.zero + UInt8(truncatingIfNeeded: number / 10 % 10))
    text.append(ASCII.zero + UInt8(truncatingIfNeeded: number % 10))
  }
}
