import Encoder
import Platform

/// The prompts that are put before texts where a request asks for none.
struct StandingPrompts: Sendable {
  /// Before every text.
  let standard: String
  /// Before texts that a collection is searched for, and before texts that are stored in it. They differ where the
  /// model tells the two apart.
  let query: String
  let document: String
  /// What a collection remembers of its texts: vectors of another model, or of texts behind another prompt, cannot be
  /// compared with them. It is the encoder's fingerprint where there is no prompt.
  let identity: String

  /// - Throws: `DigestFailure`. A collection that remembered anything else than the digest would be taken for another
  ///   model's later.
  init(_ encoder: SentenceEncoder, standard name: String?) throws(DigestFailure) {
    let prompts = encoder.prompts
    standard = prompts.standard(name)
    query = prompts.hasRoles ? prompts.prompt(for: .query) ?? "" : standard
    document = prompts.hasRoles ? prompts.prompt(for: .document) ?? "" : standard
    identity =
      query.isEmpty && document.isEmpty
      ? encoder.fingerprint
      : SHA256.hexadecimal(try SHA256.digest(of: Array("\(encoder.fingerprint)\n\(query)\n\(document)".utf8)))
  }
}

extension Prompts {
  /// What is put before every text: the prompt of a name, or else the model's default.
  func standard(_ name: String?) -> String {
    name.flatMap { byName[$0] } ?? defaultName.flatMap { byName[$0] } ?? ""
  }
}
