import JSON

/// A request to sort documents by how well they go with a query, in the words of text-embeddings-inference, Jina or
/// Cohere.
struct RerankRequest: Sendable {
  let query: String
  let documents: [String]
  /// The name of the field that has the documents.
  let field: String
  /// How many are answered; nil for all.
  let top: Int?
  let truncate: Bool
  /// Values as the model gives them, instead of scores between 0 and 1.
  let isRaw: Bool
  let returnsText: Bool
  /// What the request calls the model.
  let model: String?

  /// - Parameter returnsText: unless the request says otherwise.
  init(_ root: JSONValue, _ limits: Limits, returnsText: Bool) throws {
    var fields = try Fields(root)
    query = try limits.text(try fields.required("query"), field: "query")
    let (texts, documents) = (fields.take("texts"), fields.take("documents"))
    guard (texts == nil) != (documents == nil), let value = texts ?? documents else {
      throw Problem.invalid("texts", "exactly one of texts and documents is needed")
    }
    field = texts == nil ? "documents" : "texts"
    self.documents = try Self.documents(value, field, limits)
    top = try fields.integer("top_n", in: 1...Int.max)
    truncate = try fields.bool("truncate", default: true)
    isRaw = try fields.bool("raw_scores", default: false)
    let asked = try fields.bool("return_documents", default: returnsText)
    self.returnsText = try fields.bool("return_text", default: asked)
    model = try fields.string("model")
  }

  /// Texts, or objects with a `text`.
  private static func documents(_ value: JSONValue, _ field: String, _ limits: Limits) throws(Problem) -> [String] {
    guard let entries = value.elements else { throw .invalid(field, "must be a list of texts") }
    guard entries.contains(where: { $0.kind == .object }) else { return try limits.texts(value, field: field) }
    try limits.check(count: entries.count, field: field)
    var documents: [String] = []
    for (index, entry) in entries.enumerated() {
      let place = "\(field)[\(index)]"
      guard let text = entry.kind == .object ? entry["text"] : entry else {
        throw .invalid(place, "must be a text, or an object with a text")
      }
      documents.append(try limits.text(text, field: place))
    }
    return documents
  }
}
