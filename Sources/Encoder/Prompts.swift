import JSON

/// The texts that a model wants put before its inputs, by name (`config_sentence_transformers.json`).
public struct Prompts: Sendable, Equatable {
  /// What an input is to the model.
  public enum Role: String, Sendable, CaseIterable {
    case query, document
  }

  public private(set) var byName: [String: String] = [:]
  /// The name of the prompt that is used where nobody asks for one (`default_prompt_name`).
  public private(set) var defaultName: String?

  package init() {}

  /// - Throws: ``FieldError`` for a prompt that is not a string, and for a default that is not among them.
  package init(_ file: JSONField) throws(FieldError) {
    for (name, field) in try file.optional("prompts")?.members() ?? [] {
      if field.value.isNull { continue }
      byName[name] = try field.string()
    }
    guard let field = file.optional("default_prompt_name") else { return }
    let name = try field.string()
    guard byName[name] != nil else { throw field.refused("\"\(name)\" is not the name of a prompt") }
    defaultName = name
  }

  /// The prompt of a role; nil where the model has none.
  public func prompt(for role: Role) -> String? { name(for: role).flatMap { byName[$0] } }

  /// The name of a role's prompt, among those that models use for it; nil where the model has none.
  public func name(for role: Role) -> String? {
    let names: [String]
    switch role {
    case .query: names = ["query", "search_query", "s2p_query", "retrieval.query"]
    case .document: names = ["document", "passage", "search_document", "corpus", "retrieval.passage"]
    }
    return names.first { byName[$0] != nil }
  }

  /// Whether the model tells queries and documents apart: it has a prompt for one of them at least.
  public var hasRoles: Bool { Role.allCases.contains { prompt(for: $0)?.isEmpty == false } }
}
