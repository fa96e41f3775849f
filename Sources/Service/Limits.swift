/// Bounds on what one request may ask for; each is a flag and shown by `/info`.
public struct Limits: Sendable, Equatable {
  /// Bytes of a body.
  public var maxBodyBytes = 128 << 20
  /// Texts, rows or points of one request.
  public var maxInputs = 100_000
  /// Characters (Unicode scalars) of one text.
  public var maxCharacters = 1_000_000
  /// Values of one vector.
  public var maxDimension = 8192
  /// Neighbours of one query.
  public var maxNeighbors = 10_000
  /// Nesting of a JSON body.
  public var maxJSONDepth = 32
  /// Bytes of request line and fields together.
  public var maxHeadBytes = 16_384
  /// Field lines of one request.
  public var maxFields = 100

  public init() {}
}
