import COpenSSL
import Encoder
import VectorStore

/// The encoders of the service, at least one. A request names one by `model`; the first is used where it names none.
struct TextModels: Sendable {
  let all: [TextEncoder]

  var first: TextEncoder { all[0] }

  /// - Precondition: there is one, and no two have the same name.
  init(_ all: [TextEncoder]) {
    precondition(!all.isEmpty && Set(all.map(\.name)).count == all.count, "models need names of their own")
    self.all = all
  }

  /// The model of a name. Where there is only one, any name means it, because clients send names of their own.
  ///
  /// - Throws: 404 for a name that no model has.
  func named(_ name: String?, field: String = "model") throws(Problem) -> TextEncoder {
    guard let name, all.count > 1 else { return first }
    guard let model = all.first(where: { $0.name == name }) else {
      var problem = Problem(
        404, "there is no model '\(name)'; there are: \(all.map(\.name).joined(separator: ", "))", param: field)
      problem.code = "model_not_found"
      throw problem
    }
    return model
  }

  /// Reads `model`.
  func chosen(_ fields: inout Fields) throws(Problem) -> TextEncoder {
    try named(try fields.string("model"), field: fields.name("model"))
  }

  /// Texts that wait for a batch, in each lane.
  var waiting: [(lane: String, texts: Int)] {
    first.waiting.map { each in
      (each.lane, all.reduce(0) { $0 + ($1.waiting.first { $0.lane == each.lane }?.texts ?? 0) })
    }
  }
}

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

  init(_ encoder: SentenceEncoder, standard name: String?) {
    let prompts = encoder.prompts
    standard =
      name.flatMap { prompts.byName[$0] } ?? prompts.defaultName.flatMap { prompts.byName[$0] } ?? ""
    query = prompts.hasRoles ? prompts.prompt(for: .query) ?? "" : standard
    document = prompts.hasRoles ? prompts.prompt(for: .document) ?? "" : standard
    identity =
      query.isEmpty && document.isEmpty
      ? encoder.fingerprint : Self.digest("\(encoder.fingerprint)\n\(query)\n\(document)") ?? encoder.fingerprint
  }

  /// SHA-256 in hexadecimal digits; nil when the cryptographic library fails.
  private static func digest(_ text: String) -> String? {
    guard let state = nf_sha256_begin() else { return nil }
    let bytes = Array(text.utf8)
    // SAFETY: the arrays are valid for their counts during the calls, and the last writes 32 bytes and frees the state.
    let failed = nf_sha256_update(state, bytes, bytes.count)
    var digest = [UInt8](repeating: 0, count: 32)
    guard nf_sha256_finish(state, &digest) == 0, failed == 0 else { return nil }
    return digest.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }
}

/// How the texts of a collection are embedded.
struct CollectionTexts: Sendable {
  let texts: TextEncoder
  /// Before queries and stored texts; empty for collections whose texts were embedded without.
  let query: String
  let document: String
  /// What the collection remembers.
  let identity: String

  init(_ texts: TextEncoder, withPrompts: Bool) {
    self.texts = texts
    query = withPrompts ? texts.prompts.query : ""
    document = withPrompts ? texts.prompts.document : ""
    identity = withPrompts ? texts.prompts.identity : texts.encoder.fingerprint
  }
}

extension TextModels {
  /// The model and prompts that a collection is bound to by its first text; before that those of `name`, or of the
  /// first model.
  ///
  /// - Throws: 409 when the collection holds texts of another model, 422 when the model's dimension differs.
  func texts(
    of collection: VectorCollection, model name: String?, field: String
  ) throws(Problem) -> CollectionTexts {
    let known = collection.snapshot.model
    let remembered = known.flatMap(bound(to:))
    let texts = name == nil ? remembered?.texts ?? first : try named(name)
    guard let known else { return try checked(CollectionTexts(texts, withPrompts: true), collection, field) }
    // One folder may have several names.
    guard let chosen = texts.remembered(as: known) else {
      let owner = remembered.map { "'\($0.texts.name)'" } ?? known
      throw Problem(
        409, "the collection's texts were embedded by another model, or behind other prompts: \(owner)", param: field)
    }
    return try checked(chosen, collection, field)
  }

  /// What a collection remembers, where its model is loaded.
  func bound(to known: String) -> CollectionTexts? {
    all.lazy.compactMap { $0.remembered(as: known) }.first
  }

  private func checked(
    _ chosen: CollectionTexts, _ collection: VectorCollection, _ field: String
  ) throws(Problem) -> CollectionTexts {
    let dimension = chosen.texts.encoder.dimension
    guard collection.dimension == dimension else {
      throw .invalid(
        field, "the model's vectors have \(dimension) values where the collection has \(collection.dimension)")
    }
    return chosen
  }
}

extension TextEncoder {
  /// How this model embeds the texts of a collection that remembers `known`; nil where another one embedded them.
  func remembered(as known: String) -> CollectionTexts? {
    if prompts.identity == known { return CollectionTexts(self, withPrompts: true) }
    return encoder.fingerprint == known ? CollectionTexts(self, withPrompts: false) : nil
  }
}
