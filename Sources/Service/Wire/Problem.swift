import Contrastive
import Encoder
import HTTP1
import JSON
import Safetensors
import SimilarityCore
import VectorStore

/// Why a request is not answered as asked.
struct Problem: Error, Sendable, Equatable {
  let status: Int
  /// What is wrong, for a person.
  let detail: String
  /// The field or row at fault: `temperature`, `queries[3]`.
  let param: String?
  /// Seconds after which another attempt may succeed, for 503 and 429.
  var retryAfter = 1
  /// nil where something is wrong with the request or the service.
  var rejection: Rejection?
  /// The value of `WWW-Authenticate`, for 401 and 403.
  var challenge: String?
  /// What OpenAI's clients get as `code`.
  var code: String?

  init(_ status: Int, _ detail: String, param: String? = nil) {
    self.status = status
    self.detail = detail
    self.param = param
    if status == 413 { rejection = .tooLarge }
  }

  /// Nothing is wrong with the request, but it is not served.
  init(_ status: Int, _ detail: String, _ rejection: Rejection) {
    self.init(status, detail)
    self.rejection = rejection
  }

  /// Well-formed but invalid.
  static func invalid(_ param: String?, _ detail: String) -> Problem { Problem(422, detail, param: param) }

  /// What a caller sees when a library below fails; never caused by input.
  static let internalError = Problem(500, "an internal operation failed")
}

extension Problem {
  func response(_ style: ErrorStyle) -> Response {
    var writer = JSONWriter(reserving: 192)
    writer.beginObject()
    switch style {
    case .native:
      writer.member("title", Self.title(status))
      writer.member("status", status)
      writer.member("detail", detail)
      writer.member("param", orNull: param)
      writer.endObject()
      return Response(status: status, fields: fields(status, "application/problem+json"), body: writer.bytes)
    case .openAI:
      let status = self.status == 422 ? 400 : self.status
      writer.key("error")
      writer.beginObject()
      writer.member("message", message(status))
      writer.member("type", status < 500 ? "invalid_request_error" : "server_error")
      writer.member("param", orNull: param)
      writer.member("code", orNull: code)
      writer.endObject()
      writer.endObject()
      return Response(status: status, fields: fields(status, "application/json"), body: writer.bytes)
    case .ollama, .cohere:
      let status = self.status == 422 ? 400 : self.status
      writer.member(style == .ollama ? "error" : "message", message(status))
      writer.endObject()
      return Response(status: status, fields: fields(status, "application/json"), body: writer.bytes)
    }
  }

  /// Clients print the message alone, so it names the parameter.
  private func message(_ status: Int) -> String {
    guard let param, status == 400 || status == 413 else { return detail }
    return "Invalid '\(param)': \(detail)"
  }

  private func fields(_ status: Int, _ type: String) -> HTTPFields {
    var fields = HTTPFields([("Content-Type", type)])
    // What is unavailable now is worth another attempt soon.
    if status == 503 || status == 429 { fields.append("Retry-After", "\(retryAfter)") }
    if let challenge { fields.append("WWW-Authenticate", challenge) }
    return fields
  }

  /// Reason phrases of RFC 9110, section 15.
  private static func title(_ status: Int) -> String {
    switch status {
    case 400: "Bad Request"
    case 401: "Unauthorized"
    case 403: "Forbidden"
    case 404: "Not Found"
    case 405: "Method Not Allowed"
    case 406: "Not Acceptable"
    case 408: "Request Timeout"
    case 409: "Conflict"
    case 410: "Gone"
    case 411: "Length Required"
    case 413: "Content Too Large"
    case 414: "URI Too Long"
    case 415: "Unsupported Media Type"
    case 417: "Expectation Failed"
    case 422: "Unprocessable Content"
    case 429: "Too Many Requests"
    case 431: "Request Header Fields Too Large"
    case 500: "Internal Server Error"
    case 501: "Not Implemented"
    case 503: "Service Unavailable"
    case 504: "Gateway Timeout"
    case 505: "HTTP Version Not Supported"
    case 507: "Insufficient Storage"
    default: "Error"
    }
  }
}

extension Problem {
  /// What an error of a lower layer means to a client.
  init(describing error: any Error) {
    switch error {
    case let problem as Problem: self = problem
    case let error as JSONParseError: self.init(error)
    case let error as SafetensorsError where error.isOutOfMemory: self.init(503, error.message)
    case let error as SafetensorsError: self.init(400, "the body is not valid safetensors: \(error.message)")
    case let error as ContrastiveError: self = .invalid(error.parameter, error.reason)
    case let error as StoreError: self.init(error, points: "vectors")
    case let error as EncodingFailure: self.init(error)
    case ProductFailure.outOfMemory: self.init(503, "there is not enough memory for this batch")
    case let error as ProductFailure: self.init(500, error.description)
    default: self = .internalError
    }
  }

  init(_ error: JSONParseError) {
    self.init(error.isOutOfMemory ? 503 : 400, error.describing("the body is"))
  }

  /// - Parameter field: the field that holds the rows.
  init(_ error: JSONTensorError, field: String) {
    let row = error.path.first.map { "\(field)[\($0)]" } ?? field
    let place = field + error.path.map { "[\($0)]" }.joined()
    let what =
      switch error.reason {
      case .notANumber: "\(place) is not a number"
      case .notAString: "\(place) is not a string"
      case .ragged(let expected, let found): "\(place) has \(found) values where the others have \(expected)"
      case .mixedDepth: "\(place) mixes numbers and lists"
      case .tooDeep: "\(place) is nested too deep"
      case .notFinite: "\(place) is not finite in f32"
      }
    self = .invalid(row, what)
  }

  /// - Parameter points: the field that holds the rows which the error counts.
  init(_ error: StoreError, points: String) {
    switch error {
    case .unknownCollection(let name):
      self.init(404, "there is no collection '\(name)'", param: "collection")
    case .conflict(let reason):
      self.init(409, reason)
    case .dimension(let row, let expected, let found):
      self = .invalid("\(points)[\(row)]", "has \(found) values where the collection has \(expected)")
    case .zeroVector(let row):
      self = .invalid("\(points)[\(row)]", "a vector of zeros has no direction")
    case .duplicateID(let row):
      self = .invalid("\(points)[\(row)].id", "the id stands twice in the batch")
    case .notFinite(let row):
      self = .invalid("\(points)[\(row)]", "holds a value that is not finite in f32")
    case .tooOld(let oldest):
      self.init(409, "changes are available only from version \(oldest) on")
    case .outdated:
      self.init(503, "other replicas keep changing what the change is derived from")
    case .busy:
      self.init(503, error.description)
    case .keyReused:
      self = .invalid("Idempotency-Key", "was used with another request")
    case .full:
      self.init(507, "there is no room to store it; nothing has changed")
    case .readOnly:
      self.init(
        503,
        "collections are served read-only: the data folder cannot be written, or this replica only follows others (--follow)"
      )
    case .outOfMemory:
      self.init(503, "there is not enough memory")
    case .libraryFailed:
      self.init(500, "the matrix library failed")
    case .damaged(let reason):
      self.init(500, reason)
    case .unavailable(let reason):
      self.init(503, reason)
    case .unsupported(let reason):
      self = .invalid("engine", reason)
    case .unknownPoint(let row, let id):
      self.init(404, "there is no point '\(id)'", param: "\(points)[\(row)]")
    }
  }

  private init(_ error: EncodingFailure) {
    switch error {
    case .invalidInput(let index), .notFinite(let index):
      self.init(500, "the encoder could not compute a vector", param: "inputs[\(index)]")
    case .outOfMemory:
      self.init(503, "there is not enough memory to encode the inputs")
    }
  }
}
