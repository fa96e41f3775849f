import Encoder

/// Which prompt a request asks for: `prompt_name`, as text-embeddings-inference calls it, or `input_type`, as Cohere and
/// Voyage do.
enum PromptChoice: Sendable, Equatable {
  /// The one that stands for all requests, if there is one.
  case standing
  case named(String)
  /// The prompt of the role, where the model has one.
  case role(Prompts.Role)

  /// Reads `prompt_name` and `input_type`, of which only one may be given.
  init(_ fields: inout Fields) throws(Problem) {
    let name = try fields.string("prompt_name")
    let type = try fields.string("input_type")
    switch (name, type) {
    case (nil, nil): self = .standing
    case (let name?, nil): self = .named(name)
    case (nil, let type?):
      guard let role = Prompts.Role(inputType: type) else {
        throw .invalid(
          fields.name("input_type"), "must be one of \(Prompts.Role.allCases.map(\.rawValue).joined(separator: ", "))")
      }
      self = .role(role)
    default: throw .invalid(fields.name("input_type"), "prompt_name already says which prompt to use")
    }
  }

  /// The text to put before inputs.
  ///
  /// - Parameter standing: the prompt where the request asks for none.
  /// - Throws: ``Problem`` naming `field` for a prompt that the model does not have.
  func text(_ encoder: SentenceEncoder, standing: String, field: String = "prompt_name") throws(Problem) -> String {
    switch self {
    case .standing: return standing
    case .role(let role): return encoder.prompts.prompt(for: role) ?? ""
    case .named(let name):
      do throws(UnknownPrompt) {
        return try encoder.prompts.named(name)
      } catch {
        throw .invalid(field, error.description)
      }
    }
  }
}

extension Prompts.Role {
  /// - Parameter inputType: `query` or `document`, or what other services call these.
  init?(inputType: String) {
    switch inputType {
    case "query", "search_query": self = .query
    case "document", "passage", "search_document": self = .document
    default: return nil
    }
  }
}
