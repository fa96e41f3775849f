import Encoder
import JSON

/// What a request to Cohere's `embed` asks for. Unknown fields are ignored.
struct CohereRequest: Sendable {
  /// How a vector is wanted, in the order of the answer.
  enum EmbeddingType: String, Sendable, CaseIterable {
    case float, binary, ubinary, base64
  }

  /// Types whose codes depend on ranges of values, which Cohere has measured for its own models.
  private static let measuredTypes = ["int8", "uint8"]

  /// `classification` and `clustering` are purposes for which a few models have a prompt of that name.
  private static let roles: [(inputType: String, role: Prompts.Role?)] = [
    ("search_query", .query), ("search_document", .document), ("classification", nil), ("clustering", nil),
  ]

  let texts: [String]
  /// The name of the field that has them.
  let field: String
  /// nil where the request names none.
  let types: Set<EmbeddingType>?
  let options: TextOptions
  let shape: VectorShape
  /// What embeds the texts.
  let encoder: TextEncoder

  /// - Throws: ``Problem`` naming the field.
  init(_ value: JSONValue, _ models: TextModels, _ limits: Limits) throws(Problem) {
    var fields = try Fields(value)
    encoder = try models.chosen(&fields)
    guard fields.take("images") == nil else {
      throw .invalid("images", "are not embedded here: the model is one for texts")
    }
    let (texts, inputs) = (fields.take("texts"), fields.take("inputs"))
    switch (texts, inputs) {
    case (let texts?, nil):
      (self.texts, field) = (try limits.texts(texts, field: "texts"), "texts")
    case (nil, let inputs?):
      (self.texts, field) = (try Self.contents(inputs, limits), "inputs")
    case (nil, nil): throw .invalid("texts", "is required, or inputs")
    case (_?, _?): throw .invalid("inputs", "cannot stand beside texts")
    }
    types = try Self.types(&fields)
    options = try Self.options(&fields, encoder)
    shape = VectorShape(
      normalize: true, dimensions: try fields.integer("output_dimension", in: 1...encoder.encoder.dimension))
  }

  private static func options(_ fields: inout Fields, _ texts: TextEncoder) throws(Problem) -> TextOptions {
    let encoder = texts.encoder
    var options = TextOptions()
    options.prompt = texts.prompts.standard
    switch try fields.choice("truncate", of: ["END", "START", "NONE"]) {
    case "START": options.side = .left
    case "NONE": options.truncate = false
    default: options.side = .right
    }
    if let inputType = try fields.string("input_type") {
      guard let known = roles.first(where: { $0.inputType == inputType }) else {
        throw .invalid("input_type", "must be one of \(roles.map(\.inputType).joined(separator: ", "))")
      }
      if let role = known.role {
        options.prompt = encoder.prompts.prompt(for: role) ?? ""
      } else if let own = encoder.prompts.byName.first(where: { $0.key.lowercased() == inputType }) {
        options.prompt = own.value
      }
    }
    // A bound of the request's own would give other vectors if it were ignored.
    if let most = try fields.integer("max_tokens", in: 1...Int(Int32.max)), most < encoder.maxSequenceLength {
      throw .invalid(
        "max_tokens", "cannot be less than the model's max_seq_length, which is \(encoder.maxSequenceLength)")
    }
    return options
  }

  private static func types(_ fields: inout Fields) throws(Problem) -> Set<EmbeddingType>? {
    let known = EmbeddingType.allCases.map(\.rawValue) + measuredTypes
    guard let names = try fields.names("embedding_types", of: known) else { return nil }
    guard !names.isEmpty else { throw .invalid("embedding_types", "must not be empty") }
    guard names.isDisjoint(with: measuredTypes) else {
      throw .invalid(
        "embedding_types",
        "int8 and uint8 need ranges that were measured with the model, which its folder does not have; "
          + "float, base64, binary and ubinary are given")
    }
    return Set(names.compactMap(EmbeddingType.init))
  }

  /// The texts of `inputs`: a list of objects, each with a list `content` of one text.
  private static func contents(_ value: JSONValue, _ limits: Limits) throws(Problem) -> [String] {
    guard let entries = value.elements else { throw .invalid("inputs", "must be a list of objects") }
    try limits.check(count: entries.count, field: "inputs")
    var texts: [String] = []
    texts.reserveCapacity(entries.count)
    for (index, entry) in entries.enumerated() {
      let place = "inputs[\(index)]"
      var input = try Fields(entry, at: place)
      guard let parts = try input.required("content").elements, let part = parts.first, parts.count == 1 else {
        throw .invalid("\(place).content", "must be a list of one text: a vector is made of one text here")
      }
      var content = try Fields(part, at: "\(place).content[0]")
      guard try content.string("type") ?? "text" == "text" else {
        throw .invalid("\(place).content[0].type", "must be text: the model is one for texts")
      }
      let name = content.name("text")
      texts.append(try limits.text(try content.required("text"), field: name))
    }
    return texts
  }
}
