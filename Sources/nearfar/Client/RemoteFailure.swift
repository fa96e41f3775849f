import HTTPClient
import JSON

/// An exchange with a service that did not succeed, after all repetitions.
enum RemoteFailure: Error, CustomStringConvertible {
  /// No answer came, or none that says more than to come later.
  case away(String)
  /// The service refused the request.
  case refused(status: Int, detail: String, param: String?)

  init(_ response: ClientResponse) {
    let problem = try? JSONDocument(response.body).root
    let detail = problem?["detail"]?.string ?? "no details were given"
    self = .refused(status: response.status, detail: detail, param: problem?["param"]?.string)
  }

  var description: String {
    switch self {
    case .away(let why): why
    case .refused(let status, let detail, let param):
      "the service answered \(status): \(param.map { "\($0): " } ?? "")\(detail)"
    }
  }

  /// The entry that a name such as `points[3].text` blames; nil when it is another one.
  func index(in list: String) -> Int? {
    guard case .refused(_, _, let param?) = self, param.hasPrefix("\(list)[") else { return nil }
    return Int(param.dropFirst(list.count + 1).prefix { $0 != "]" })
  }

  /// What is wrong, without the name of the field.
  var detail: String {
    switch self {
    case .away(let why): why
    case .refused(_, let detail, _): detail
    }
  }
}
