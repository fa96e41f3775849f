import HTTP1
import JSON

/// Why a request is not answered as asked.
struct Problem: Error, Sendable, Equatable {
  let status: Int
  /// What is wrong, for a person.
  let detail: String
  /// The field or row at fault: `temperature`, `queries[3]`.
  let param: String?

  init(_ status: Int, _ detail: String, param: String? = nil) {
    self.status = status
    self.detail = detail
    self.param = param
  }

  /// Well-formed but invalid.
  static func invalid(_ param: String?, _ detail: String) -> Problem { Problem(422, detail, param: param) }

  /// What a caller sees when a library below fails; never caused by input.
  static let internalError = Problem(500, "an internal operation failed")
}

/// Whose conventions an error follows.
enum ErrorStyle: Sendable {
  /// RFC 9457 problem documents.
  case native
  /// OpenAI's error object, and 400 where a native endpoint says 422.
  case openAI

  init(path: String) {
    self = path.hasPrefix("/v1/") ? .openAI : .native
  }
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
      return Response(status: status, fields: Self.fields(status, "application/problem+json"), body: writer.bytes)
    case .openAI:
      let status = self.status == 422 ? 400 : self.status
      writer.key("error")
      writer.beginObject()
      writer.member("message", detail)
      writer.member("type", status < 500 ? "invalid_request_error" : "server_error")
      writer.member("param", orNull: param)
      writer.key("code")
      writer.null()
      writer.endObject()
      writer.endObject()
      return Response(status: status, fields: Self.fields(status, "application/json"), body: writer.bytes)
    }
  }

  /// What is unavailable now is worth another attempt soon.
  private static func fields(_ status: Int, _ type: String) -> HTTPFields {
    HTTPFields([("Content-Type", type)] + (status == 503 ? [("Retry-After", "1")] : []))
  }

  /// Reason phrases of RFC 9110, section 15.
  private static func title(_ status: Int) -> String {
    switch status {
    case 400: "Bad Request"
    case 401: "Unauthorized"
    case 404: "Not Found"
    case 405: "Method Not Allowed"
    case 406: "Not Acceptable"
    case 408: "Request Timeout"
    case 409: "Conflict"
    case 411: "Length Required"
    case 413: "Content Too Large"
    case 414: "URI Too Long"
    case 415: "Unsupported Media Type"
    case 417: "Expectation Failed"
    case 422: "Unprocessable Content"
    case 431: "Request Header Fields Too Large"
    case 500: "Internal Server Error"
    case 501: "Not Implemented"
    case 503: "Service Unavailable"
    case 505: "HTTP Version Not Supported"
    case 507: "Insufficient Storage"
    default: "Error"
    }
  }
}
