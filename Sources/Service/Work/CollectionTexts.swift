import Encoder
import VectorStore

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
    try texts(known: collection.snapshot.model, dimension: collection.dimension, model: name, field: field)
  }

  /// As ``texts(of:model:field:)``, for a collection of this dimension that remembers `known`.
  func texts(
    known: String?, dimension: Int, model name: String?, field: String
  ) throws(Problem) -> CollectionTexts {
    let remembered = known.flatMap(bound(to:))
    let texts = name == nil ? remembered?.texts ?? first : try named(name)
    guard let known else { return try checked(CollectionTexts(texts, withPrompts: true), dimension, field) }
    // One folder may have several names.
    guard let chosen = texts.remembered(as: known) else {
      let owner = remembered.map { "'\($0.texts.name)'" } ?? known
      throw Problem(
        409, "the collection's texts were embedded by another model, or behind other prompts: \(owner)", param: field)
    }
    return try checked(chosen, dimension, field)
  }

  /// What a collection remembers, where its model is loaded.
  func bound(to known: String) -> CollectionTexts? {
    all.lazy.compactMap { $0.remembered(as: known) }.first
  }

  private func checked(
    _ chosen: CollectionTexts, _ expected: Int, _ field: String
  ) throws(Problem) -> CollectionTexts {
    let dimension = chosen.texts.encoder.dimension
    guard expected == dimension else {
      throw .invalid(
        field, "the model's vectors have \(dimension) values where the collection has \(expected)")
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
