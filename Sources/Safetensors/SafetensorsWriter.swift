/// Collects tensors and writes them as one safetensors body.
public struct SafetensorsWriter: Sendable {
  private struct Part: Sendable {
    enum Content: Sendable {
      case bytes([UInt8])
      case floats([Float])

      func withBytes(_ read: (UnsafeRawBufferPointer) -> Void) {
        switch self {
        case .bytes(let values): values.withUnsafeBytes(read)
        case .floats(let values): values.withUnsafeBytes(read)
        }
      }
    }

    var name: String
    var dtype: DType
    var shape: [Int]
    var count: Int
    var content: Content
  }

  private var parts: [Part] = []
  private var names: Set<String> = ["__metadata__"]

  public init() {}

  /// Adds a tensor of 32-bit floats; the values are copied.
  /// - Throws: `SafetensorsError` when `shape` does not name as many elements, or the name is taken.
  public mutating func add(
    name: String, shape: [Int], floats: UnsafeBufferPointer<Float>
  ) throws(SafetensorsError) {
    try add(name: name, dtype: .f32, shape: shape, bytes: UnsafeRawBufferPointer(floats))
  }

  /// Adds a tensor of 32-bit floats; the array is kept and not copied until it is written.
  /// - Throws: `SafetensorsError` when `shape` does not name as many elements, or the name is taken.
  public mutating func add(name: String, shape: [Int], floats: [Float]) throws(SafetensorsError) {
    try add(name, .f32, shape, count: floats.count * 4, .floats(floats))
  }

  /// Adds a tensor by its little-endian bytes, which are copied.
  /// - Throws: `SafetensorsError` when `shape` and `dtype` do not need as many bytes, or the name is taken.
  public mutating func add(
    name: String, dtype: DType, shape: [Int], bytes: UnsafeRawBufferPointer
  ) throws(SafetensorsError) {
    try add(name, dtype, shape, count: bytes.count, .bytes(Array(bytes)))
  }

  private mutating func add(
    _ name: String, _ dtype: DType, _ shape: [Int], count: Int, _ content: Part.Content
  ) throws(SafetensorsError) {
    guard byteCount(of: shape, dtype) == count else {
      throw SafetensorsError(
        message: "tensor \"\(name)\": \(count) bytes are not what \(dtype.rawValue)\(shape) needs")
    }
    guard names.insert(name).inserted else {
      throw SafetensorsError(message: "tensor \"\(name)\" is added twice, or its name is reserved")
    }
    parts.append(Part(name: name, dtype: dtype, shape: shape, count: count, content: content))
  }

  /// The whole body: length, header padded with spaces so that the data starts at a multiple of 8, data.
  ///
  /// Tensors with larger elements come first, so that each is aligned to its element; names break ties, and
  /// metadata is sorted, so that the same content gives the same bytes.
  public func serialize(metadata: [String: String] = [:]) -> [UInt8] {
    let ordered = parts.sorted { ($1.dtype.size, $0.name) < ($0.dtype.size, $1.name) }
    var body = SafetensorsHead.bytes(
      of: ordered.map { (name: $0.name, dtype: $0.dtype, shape: $0.shape, count: $0.count) }, metadata: metadata,
      reserving: ordered.reduce(0) { $0 + $1.count })
    for part in ordered { part.content.withBytes { body.append(contentsOf: $0) } }
    return body
  }
}
