import HTTP1

/// The routes that protocol tests need: `GET /`, `POST /echo` and `POST /json`. Every answer is sent at once, on the
/// event loop's thread.
struct EchoHandler: RequestHandler {
  let maxBodyBytes: Int
  private let greeting: Response

  init(maxBodyBytes: Int) {
    self.maxBodyBytes = maxBodyBytes
    greeting = Self.text(200, "http-echo\n")
  }

  func admit(_ head: RequestHead, from peer: Peer) -> Admission {
    guard let allowed = Self.methods(of: head) else { return .reject(Self.text(404, "no such path\n")) }
    switch head.method {
    case .options:
      return .reject(Response(status: 204, fields: HTTPFields([("Allow", allowed)])))
    case .get, .head:
      if head.path != "/" { return .reject(Self.notAllowed(allowed)) }
    case .post:
      if head.path == "/" { return .reject(Self.notAllowed(allowed)) }
      if head.path == "/json", let refusal = Self.refusal(of: head.fields) { return .reject(refusal) }
    default:
      return .reject(Self.notAllowed(allowed))
    }
    return .accept(maxBodyBytes: maxBodyBytes)
  }

  func handle(_ request: Request, reply: any ReplyChannel) {
    switch request.head.path {
    case "/echo", "/json": reply.send(echo(request))
    default: reply.send(greeting)
    }
  }

  func endOfPass(loop: Int) {}

  func failureResponse(_ failure: RequestFailure, head: RequestHead?, from peer: Peer) -> Response {
    Self.text(failure.status, failure.reason + "\n")
  }

  private func echo(_ request: Request) -> Response {
    if request.head.fields.contains("Content-Encoding"), request.head.path == "/json" {
      // gzip starts with these two bytes (RFC 1952, section 2.3.1). They distinguish a broken body from one that this
      // program does not decode.
      return request.body.starts(with: [0x1f, 0x8b]) ? Self.unsupported : Self.text(400, "the body is not gzip\n")
    }
    let type = request.head.fields["Content-Type"] ?? "application/octet-stream"
    return Response(status: 200, fields: HTTPFields([("Content-Type", type)]), body: request.body)
  }

  /// The methods that the path allows, for the field `Allow`; nil when there is no such path.
  private static func methods(of head: RequestHead) -> String? {
    guard !head.isForWholeServer else { return "GET, HEAD, POST, OPTIONS" }
    return switch head.path {
    case "/": "GET, HEAD, OPTIONS"
    case "/echo", "/json": "POST, OPTIONS"
    default: nil
    }
  }

  /// The answer to a body that `/json` does not take; nil when it takes the body.
  private static func refusal(of fields: HTTPFields) -> Response? {
    let type = (fields["Content-Type"] ?? "").prefix { $0 != ";" && $0 != " " && $0 != "\t" }
    guard type.lowercased() == "application/json" else { return unsupported }
    switch fields["Content-Encoding"]?.lowercased() {
    case nil, "gzip", "x-gzip": return nil
    default: return unsupported
    }
  }

  private static let unsupported: Response = {
    var response = text(415, "only application/json without a content coding is taken here\n")
    response.fields.append("Accept-Post", "application/json")
    response.fields.append("Accept-Encoding", "identity")
    return response
  }()

  private static func notAllowed(_ allowed: String) -> Response {
    var response = text(405, "the method is not allowed here\n")
    response.fields.append("Allow", allowed)
    return response
  }

  private static func text(_ status: Int, _ text: String) -> Response {
    Response(
      status: status, fields: HTTPFields([("Content-Type", "text/plain; charset=utf-8")]), body: Array(text.utf8))
  }
}
