import HTTPClient
import JSON
import Platform

/// A running service as the commands use it. While it cannot be reached, or answers that it is busy, a request is repeated
/// after growing pauses, so every request must be one that may be carried out twice.
final class RemoteService {
  /// The flags of a command that uses a service.
  static let flags: [any CommandFlag] = [address, retry] + ServiceAccess.flags

  private static let address = Flag(
    "url", .text("URL"), .defaults(to: "http://127.0.0.1:8080"), isVariable: true,
    "Where the service is, as http://HOST[:PORT][/PREFIX] or https://.")
  private static let retry = Flag(
    "retry", .seconds(zero: true), .defaults(to: 60, shown: "60"),
    "How long to keep trying while the service cannot be reached or is busy.")

  private let client: HTTPClient
  /// Milliseconds to keep trying.
  private let patience: Int

  init(_ arguments: Arguments) throws(UsageError) {
    client = try ServiceAccess.client(ServiceAccess.url(try arguments.value(Self.address)), arguments)
    // At most a day.
    patience = Int(try arguments.value(Self.retry) * 1000)
  }

  var url: String { client.url.description }

  /// The answer's JSON.
  func json(_ method: String, _ path: String, _ body: [UInt8] = []) throws(RemoteFailure) -> JSONValue {
    let fields = body.isEmpty ? [] : [(name: "Content-Type", value: "application/json")]
    let response = try send(ClientRequest(method, path, fields: fields, body: body))
    do {
      return try JSONDocument(response.body).root
    } catch {
      throw .noAnswer("the answer of \(url)\(path) is not JSON")
    }
  }

  /// The dimension of the vectors of texts, and the most characters that a text may have.
  func textBounds() throws(RemoteFailure) -> (dimension: Int, characters: Int) {
    do throws(RemoteFailure) {
      let info = try json("GET", "/info")
      guard let dimension = info["model"]?["dim"]?.integer else {
        throw .noAnswer("\(url)/info does not state the model's dimension")
      }
      return (dimension, info["limits"]?["max_input_chars"]?.integer ?? .max)
    } catch {
      guard case .refused(404, _, _) = error else { throw error }
      // A service with an admin port has /info there. The vector of a text tells its dimension, too.
      let vectors = try json("POST", "/embed", Array(#"{"inputs": ["a"]}"#.utf8))
      guard let dimension = vectors.elements?.first?.count, dimension > 0 else {
        throw .noAnswer("\(url)/embed does not answer with a list of vectors")
      }
      return (dimension, .max)
    }
  }

  /// Sends a request until it succeeds.
  ///
  /// - Parameters:
  ///   - restart: called before each attempt, since `sink` may have taken part of an answer that broke off.
  ///   - sink: takes the body piece by piece.
  /// - Throws: ``RemoteFailure`` when the service refuses the request, or has been away for too long.
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
        let failure = RemoteFailure.noAnswer(error.description)
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

  /// Waits before the next attempt.
  ///
  /// - Parameters:
  ///   - pause: milliseconds to wait; the next pause on return.
  ///   - waited: milliseconds waited so far.
  /// - Throws: `failure` when the patience is used up.
  private func rest(_ failure: RemoteFailure, _ pause: inout Int, _ waited: inout Int) throws(RemoteFailure) {
    guard waited < patience else { throw failure }
    pause = min(pause, patience - waited)
    usleep(UInt32(clamping: pause) * 1000)
    waited += pause
    pause = min(pause * 2, 10_000)
  }
}

/// A collection of a running service.
struct RemoteCollection {
  let service: RemoteService
  let name: String

  var path: String { "/collections/\(name.pathSegment)" }

  struct Description {
    let dimension: Int
    let metric: String
    let version: Int
  }

  /// - Returns: nil when there is no such collection.
  func describe() throws(RemoteFailure) -> Description? {
    do throws(RemoteFailure) {
      return Self.description(try service.json("GET", path))
    } catch {
      guard case .refused(404, _, _) = error else { throw error }
      return nil
    }
  }

  /// Makes the collection; one that exists must have the same dimension and metric.
  ///
  /// - Parameter recallTarget: set on an existing collection as well; nil leaves it as it is.
  func create(
    dimension: Int, metric: String, recallTarget: Double? = nil, engine: String? = nil
  ) throws(RemoteFailure) -> Description? {
    var body = JSONWriter()
    body.beginObject()
    body.key("dim")
    body.integer(dimension)
    body.key("metric")
    body.string(metric)
    if let recallTarget {
      body.key("recall_target")
      body.number(recallTarget)
    }
    if let engine {
      body.key("engine")
      body.string(engine)
    }
    body.endObject()
    return Self.description(try service.json("PUT", path, body.bytes))
  }

  /// Inserts or replaces points.
  ///
  /// - Returns: the version that holds them.
  func upsert(_ body: [UInt8], type: String) throws(RemoteFailure) -> Int {
    let request = ClientRequest("PUT", path + "/points", fields: [(name: "Content-Type", value: type)], body: body)
    let response = try service.send(request)
    return (try? JSONDocument(response.body).root)?["version"]?.integer ?? 0
  }

  private static func description(_ value: JSONValue) -> Description? {
    guard let dimension = value["dim"]?.integer, let metric = value["metric"]?.string else { return nil }
    return Description(dimension: dimension, metric: metric, version: value["version"]?.integer ?? 0)
  }
}

/// Why a request did not succeed, after all repetitions.
enum RemoteFailure: Error, CustomStringConvertible {
  /// No answer came, or none that can be used.
  case noAnswer(String)
  /// The service refused the request.
  case refused(status: Int, detail: String, param: String?)

  init(_ response: ClientResponse) {
    let problem = try? JSONDocument(response.body).root
    let detail = problem?["detail"]?.string ?? "no details were given"
    self = .refused(status: response.status, detail: detail, param: problem?["param"]?.string)
  }

  var description: String {
    switch self {
    case .noAnswer(let why): why
    case .refused(let status, let detail, let param):
      "the service answered \(status): \(param.map { "\($0): " } ?? "")\(detail)"
    }
  }

  /// The index that the field at fault has in a list: 3 for `points[3].text` in `points`; nil for another field.
  func index(in list: String) -> Int? {
    guard case .refused(_, _, let param?) = self, param.hasPrefix("\(list)[") else { return nil }
    return Int(param.dropFirst(list.count + 1).prefix { $0 != "]" })
  }

  /// The reason without the name of the field.
  var detail: String {
    switch self {
    case .noAnswer(let why): why
    case .refused(_, let detail, _): detail
    }
  }
}
