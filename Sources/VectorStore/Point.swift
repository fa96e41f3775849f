/// One stored record.
public struct Point: Sendable, Equatable {
  /// Non-empty, at most 512 bytes of UTF-8, unique in its collection. Two ids are the same when their bytes are.
  public let id: String
  /// As many values as the collection's dimension.
  public let vector: [Float]
  /// Kept for the client; not searched.
  public let text: String?
  /// A JSON object, as text.
  public let metadata: [UInt8]?

  public init(id: String, vector: [Float], text: String? = nil, metadata: [UInt8]? = nil) {
    self.id = id
    self.vector = vector
    self.text = text
    self.metadata = metadata
  }
}

/// A point without its vector, which the index holds.
struct Record: Sendable {
  let id: String
  let text: String?
  let metadata: [UInt8]?
}
