/// Whose conventions an error follows.
enum ErrorStyle: Sendable {
  /// RFC 9457 problem documents.
  case native
  /// OpenAI's error object, and 400 where a native endpoint says 422.
  case openAI
  /// Ollama's `{"error": "…"}`, and 400 as above.
  case ollama
  /// Cohere's `{"message": "…"}`, and 400 as above.
  case cohere

  /// Names of OpenAI's interface, which its clients append to the base URL that they were given.
  private static let openAINames = [
    "embeddings", "models", "completions", "responses", "moderations", "files", "batches", "images", "audio",
    "assistants",
  ]

  /// Paths that clients append to a base URL are known wherever they stand: a client whose base URL is wrong can then
  /// show the error.
  init(path: String) {
    let segments = path.split(separator: "/")
    let (last, folder) = (segments.last, segments.dropLast().last)
    let isBelowV1 = segments.contains("v1")
    if segments.first != "collections", segments.first == "api" && !isBelowV1 || folder == "api" {
      self = .ollama
    } else if segments.first == "v2" || last == "embed" && (isBelowV1 || segments.contains("v2")) {
      self = .cohere
    } else if isBelowV1 || folder == "models" || last.map({ Self.openAINames.contains(String($0)) }) ?? false {
      self = .openAI
    } else {
      self = .native
    }
  }
}

extension Problem {
  /// There is no such route; what may have been meant is named.
  static func noRoute(_ path: String) -> Problem {
    let missing = "there is no route \(path)"
    switch ErrorStyle(path: path) {
    case .native:
      return Problem(404, missing)
    case .openAI:
      let last = path.split(separator: "/").last
      let known = last == "embeddings" || last == "models" ? "/v1/\(last ?? "")" : "/v1/embeddings and /v1/models"
      return Problem(404, "\(missing); this service has \(known): the base URL of OpenAI's clients ends in /v1")
    case .ollama:
      return Problem(
        404,
        "\(missing); of Ollama's, this service has /api/embed, /api/embeddings, /api/tags, /api/show, /api/ps and "
          + "/api/version: the host of Ollama's clients has no path")
    case .cohere:
      return Problem(
        404,
        "\(missing); of Cohere's, this service has /v2/embed, /v1/embed and /v2/rerank: "
          + "the base URL of Cohere's clients has no path"
      )
    }
  }
}
