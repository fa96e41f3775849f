/// Who sends a request, by its API key.
enum Caller: Equatable, Sendable {
  /// The service has no keys, so that everyone may do everything.
  case anyone
  /// The request has no key.
  case nobody
  /// The key is not one of the service's.
  case stranger
  /// Memory is too short to look at the key.
  case unchecked
  case named(String, Rights)

  /// The name of the key; nil for a request without a valid one.
  var name: String? {
    if case .named(let name, _) = self { name } else { nil }
  }

  /// - Returns: why the action may not be done; nil when it may.
  func refusal(_ requirement: Requirement) -> Problem? {
    guard requirement != .nothing else { return nil }
    switch self {
    case .anyone: return nil
    case .nobody: return .noKey
    case .stranger: return .unknownKey
    case .unchecked: return Problem(503, "there is not enough memory to check the API key")
    case .named(let name, let rights):
      guard case .right(let right) = requirement, !rights.contains(right) else { return nil }
      return .missing(right, of: name)
    }
  }

  /// Whose an answer is that is kept for repetitions of the request: keys of one name with the same rights share them.
  var share: String {
    if case .named(let name, let rights) = self { "\(name)/\(rights.number)" } else { "" }
  }
}

/// The answers of RFC 6750, section 3.
extension Problem {
  /// What OpenAI's clients are told.
  private static let code = "invalid_api_key"

  fileprivate static var noKey: Problem {
    var problem = Problem(401, "an API key is required, as Authorization: Bearer KEY or X-Api-Key: KEY")
    problem.challenge = "Bearer realm=\"nearfar\""
    problem.code = code
    return problem
  }

  fileprivate static var unknownKey: Problem {
    var problem = Problem(401, "the API key is not one of this service's")
    problem.challenge = "Bearer realm=\"nearfar\", error=\"invalid_token\""
    problem.code = code
    return problem
  }

  fileprivate static func missing(_ right: Right, of name: String) -> Problem {
    var problem = Problem(403, "the API key '\(name)' lacks the right '\(right.rawValue)'")
    problem.challenge = "Bearer realm=\"nearfar\", error=\"insufficient_scope\", scope=\"\(right.rawValue)\""
    problem.code = "insufficient_permissions"
    return problem
  }
}
