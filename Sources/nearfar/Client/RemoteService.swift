import HTTPClient
import JSON
import Platform

/// A running service as the commands use it. While it cannot be reached, or answers that it is busy, a request is repeated
/// after growing pauses, so a request must be one that may be carried out twice.
final class RemoteService {
  static let flags = ["url", "retry"]

  private let client: HTTPClient
  /// Seconds to keep trying.
  private let patience: Int

  init(_ options: Options) throws(UsageError) {
    do throws(ClientError) {
      client = HTTPClient(try ServiceURL(options.string("url") ?? "http://127.0.0.1:8080"))
    } catch {
      throw UsageError(description: "--url \(error)")
    }
    patience = try options.integer("retry", default: 60, in: 0...86_400)
  }

  var url: String { client.url.description }

  /// The answer's JSON.
  func json(_ method: String, _ path: String, _ body: [UInt8] = []) throws(RemoteFailure) -> JSONValue {
    let fields = body.isEmpty ? [] : [(name: "Content-Type", value: "application/json")]
    let response = try send(ClientRequest(method, path, fields: fields, body: body))
    do {
      return try JSONDocument(response.body).root
    } catch {
      throw .away("the answer of \(url)\(path) is not JSON")
    }
  }

  /// The answer, when it is a success.
  ///
  /// - Parameters:
  ///   - restart: called before each attempt, for a `sink` that may hold part of an answer that broke off.
  ///   - sink: takes the body piece by piece.
  func send(
    _ request: ClientRequest, restart: () throws(ClientError) -> Void = {}, receiving sink: ResponseReader.Sink? = nil
  ) throws(RemoteFailure) -> ClientResponse {
    var waited = 0
    var pause = 250
    while true {
      let response: ClientResponse
      do throws(ClientError) {
        try restart()
        response = try client.send(request, receiving: sink)
      } catch {
        let failure = RemoteFailure.away(error.description)
        guard error.isTransient else { throw failure }
        try rest(failure, &pause, &waited)
        continue
      }
      if response.isSuccess { return response }
      let failure = RemoteFailure(response)
      guard [502, 503, 504].contains(response.status) else { throw failure }
      if let seconds = response.field("retry-after").flatMap({ Int($0) }) {
        pause = max(pause, min(max(0, seconds), 60) * 1000)
      }
      try rest(failure, &pause, &waited)
    }
  }

  /// Waits before the next attempt, in milliseconds; throws `failure` when there has been enough of that.
  private func rest(_ failure: RemoteFailure, _ pause: inout Int, _ waited: inout Int) throws(RemoteFailure) {
    guard waited < patience * 1000 else { throw failure }
    pause = min(pause, patience * 1000 - waited)
    usleep(UInt32(clamping: pause) * 1000)
    waited += pause
    pause = min(pause * 2, 10_000)
  }
}
