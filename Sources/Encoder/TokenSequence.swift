/// The tokens of one input of a text encoder: a text, or two texts that are read together.
public struct TokenSequence: Sendable, Hashable {
  public var ids: [Int32]
  /// The type of each token (`token_type_ids`); empty where all are 0.
  public var types: [Int32]
  /// The number of leading tokens that pooling leaves out: those of a prompt, where the model says so
  /// (`include_prompt`).
  public var unpooled: Int

  public init(_ ids: [Int32], types: [Int32] = [], unpooled: Int = 0) {
    self.ids = ids
    self.types = types.contains { $0 != 0 } ? types : []
    self.unpooled = unpooled
  }

  /// The number of tokens.
  public var count: Int { ids.count }
}
