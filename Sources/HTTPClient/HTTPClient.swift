/// A client of one service, for programs that wait for each answer. It blocks, carries out one exchange at a time, and
/// keeps its connection open in between.
public final class HTTPClient {
  public let url: ServiceURL
  private let trust: TLSTrust?
  private let preface: [UInt8]
  private let key: String?
  private let timeout: Int
  private let limit: Int
  private var socket: ClientSocket?
  private var reader = ResponseReader()

  /// - Parameters:
  ///   - trust: what an https:// service has to show; nil for a certificate that the system trusts.
  ///   - preface: what a connection begins with, before TLS.
  ///   - key: the API key that every request has (RFC 6750), of visible ASCII characters.
  ///   - timeout: seconds without a byte after which an exchange is given up.
  ///   - maxBodyBytes: the most bytes of an answer whose body is kept in memory.
  /// - Throws: ``ClientError`` when TLS cannot be set up.
  public init(
    _ url: ServiceURL, trust: TLSTrust? = nil, preface: [UInt8] = [], key: String? = nil, timeout: Int = 600,
    maxBodyBytes: Int = 256 << 20
  ) throws(ClientError) {
    self.url = url
    self.trust = url.isSecure ? (trust == nil ? try TLSTrust(authorities: nil) : trust) : nil
    self.preface = preface
    self.key = key
    self.timeout = timeout
    limit = maxBodyBytes
  }

  /// Sends a request and waits for its answer. When a kept connection fails before a byte of the answer has arrived,
  /// the request is sent once more, on a new connection: usually the service closed the connection while it was idle.
  ///
  /// - Parameter sink: takes the body of a successful answer piece by piece; ``ClientResponse/body`` is then empty.
  /// - Throws: ``ClientError``. The next exchange then uses a new connection.
  public func send(
    _ request: ClientRequest, receiving sink: ResponseReader.Sink? = nil
  ) throws(ClientError) -> ClientResponse {
    let wasOpen = socket != nil
    var began = false
    do throws(ClientError) {
      return try exchange(request, sink, &began)
    } catch {
      socket = nil
      // Nothing of an answer has arrived on a kept connection: the service has probably closed it while it was idle.
      guard wasOpen, !began, error.kind == .interrupted else { throw error }
    }
    do throws(ClientError) {
      return try exchange(request, sink, &began)
    } catch {
      socket = nil
      throw error
    }
  }

  private func exchange(
    _ request: ClientRequest, _ sink: ResponseReader.Sink?, _ began: inout Bool
  ) throws(ClientError) -> ClientResponse {
    let socket: ClientSocket
    if let open = self.socket {
      socket = open
    } else {
      socket = try ClientSocket(url, trust, preface: preface, timeout: timeout)
      self.socket = socket
      reader = ResponseReader()
    }
    // A service that rejects a request early closes the connection before it has read the body. Its answer may have
    // arrived although sending failed.
    var failure: ClientError?
    do throws(ClientError) {
      try socket.send(request.head(for: url, key: key))
      try socket.send(request.body)
    } catch {
      failure = error
    }
    var some = false
    defer { began = some }
    do throws(ClientError) {
      let response = try reader.read(isHead: request.method == "HEAD", limit: limit, sink: sink) {
        () throws(ClientError) -> [UInt8] in
        let bytes = try socket.receive(most: 262_144)
        if !bytes.isEmpty { some = true }
        return bytes
      }
      if failure != nil || !reader.persists { self.socket = nil }
      return response
    } catch {
      throw failure ?? error
    }
  }
}

/// Why an exchange with a service has failed.
public struct ClientError: Error, Sendable, Equatable, CustomStringConvertible {
  public enum Kind: Sendable, Equatable {
    /// The URL is malformed, or begins with neither http:// nor https://.
    case url
    /// The certificates that services are checked against cannot be used.
    case trust
    /// No connection could be made.
    case unreachable
    /// The connection ended before the answer was complete.
    case interrupted
    /// Nothing came for too long. The service may still be at work on the request.
    case late
    /// The answer is not valid HTTP/1.1, or is larger than allowed.
    case unreadable
    /// The receiver of the body has failed.
    case receiver
  }

  public let kind: Kind
  public let description: String

  public init(_ kind: Kind, _ description: String) {
    self.kind = kind
    self.description = description
  }

  /// Whether repeating the request later may help.
  public var isTransient: Bool { kind == .unreachable || kind == .interrupted || kind == .late }
}
