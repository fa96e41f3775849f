/// A client of one service: blocking, one exchange at a time, over a connection that is kept. For programs that wait for
/// each answer anyway; http:// only.
public final class HTTPClient {
  public let url: ServiceURL
  private let timeout: Int
  private let limit: Int
  private var socket: ClientSocket?
  private var reader = ResponseReader()

  /// - Parameters:
  ///   - timeout: seconds without a byte after which an exchange is given up.
  ///   - maxBodyBytes: bytes of an answer that is kept in memory.
  public init(_ url: ServiceURL, timeout: Int = 600, maxBodyBytes: Int = 256 << 20) {
    self.url = url
    self.timeout = timeout
    limit = maxBodyBytes
  }

  /// One request and its answer. A connection that the service has closed meanwhile is replaced once.
  ///
  /// - Parameter sink: takes the body of a success piece by piece; the answer's own is empty then.
  /// - Throws: ``ClientError``; the next exchange begins with a new connection.
  public func send(
    _ request: ClientRequest, receiving sink: ResponseReader.Sink? = nil
  ) throws(ClientError) -> ClientResponse {
    let wasOpen = socket != nil
    var began = false
    do throws(ClientError) {
      return try exchange(request, sink, &began)
    } catch {
      socket = nil
      // Closed while it was idle: nothing of an answer has come, and the request was not at fault.
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
      socket = try ClientSocket(url, timeout: timeout)
      self.socket = socket
      reader = ResponseReader()
    }
    // A service that refuses a request early closes while the body is still on its way: the answer may be there.
    var failure: ClientError?
    do throws(ClientError) {
      try socket.send(request.head(for: url))
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
