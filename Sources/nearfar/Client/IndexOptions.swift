/// What `nearfar index` is told.
struct IndexOptions {
  static let flags =
    ["input", "collection", "text-field", "id-field", "metadata-fields", "batch", "skip-bad"] + RemoteService.flags
  static let switches = ["skip-bad"]

  /// nil is standard input.
  let input: String?
  let collection: String
  let textField: String
  /// nil takes line numbers as ids.
  let idField: String?
  /// nil takes every other field.
  let metadataFields: [String]?
  let batch: Int
  let skipsBadLines: Bool

  init(_ options: Options) throws(UsageError) {
    let path = try options.required("input")
    input = path == "-" ? nil : path
    collection = try options.required("collection")
    textField = try options.required("text-field")
    idField = options.string("id-field")
    metadataFields = options.string("metadata-fields").map { $0.split(separator: ",").map(String.init) }
    batch = try options.integer("batch", default: 64, in: 1...10_000)
    skipsBadLines = try options.choice("skip-bad", of: ["false", "true"]) == "true"
  }

  /// What has to be the same for an interrupted run to be gone on with.
  func identity(url: String) -> String {
    [url, collection, textField, idField ?? "(line)", metadataFields?.joined(separator: ",") ?? "(all)"]
      .joined(separator: "\n")
  }
}
