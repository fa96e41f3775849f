import JSON

/// The head of a safetensors body, for a body whose data is sent piece by piece: the length of the header, and the
/// header.
public enum SafetensorsHead {
  /// The longest header, in bytes, that the format's reference implementation reads.
  public static let longest = Header.maximumLength

  /// The head of a body with one tensor, in pieces that are to be sent one after another, so that long metadata is
  /// neither copied nor joined.
  ///
  /// - Parameters:
  ///   - metadata: names that need no escaping, and values as they stand between the quotes of a JSON string.
  ///   - room: bytes beyond what the header needs, so that it can be written anew with longer numbers.
  /// - Throws: `SafetensorsError` when the shape is too large, the name is reserved, or the header is longer than
  ///   ``longest``.
  public static func pieces(
    name: String, dtype: DType, shape: [Int], escaped metadata: [(key: String, value: [UInt8])], room: Int = 0
  ) throws(SafetensorsError) -> [[UInt8]] {
    guard let count = byteCount(of: shape, dtype), name != "__metadata__" else {
      throw SafetensorsError(message: "tensor \"\(name)\": the shape \(shape) is too large, or its name is reserved")
    }
    var pieces: [[UInt8]] = []
    var before = #"{"__metadata__":{"#
    for (key, value) in metadata {
      pieces += [Array("\(before)\"\(key)\":\"".utf8), value]
      before = #"","#
    }
    var tensor = JSONWriter()
    tensor.beginObject()
    write((name: name, dtype: dtype, shape: shape, count: count), at: 0, to: &tensor)
    tensor.endObject()
    // The opening bracket of the object has been written before the metadata.
    pieces.append(Array((metadata.isEmpty ? "\(before)}," : #""},"#).utf8) + tensor.bytes.dropFirst())
    let length = pieces.reduce(0) { $0 + $1.count }
    let padding = room + (8 - (length + room) % 8) % 8
    guard length + padding <= longest else {
      throw SafetensorsError(message: "a header of \(length + padding) bytes is over the limit of \(longest)")
    }
    pieces.append([UInt8](repeating: 0x20, count: padding))
    return [withUnsafeBytes(of: UInt64(length + padding).littleEndian) { Array($0) }] + pieces
  }

  /// The head of a body: the length, then the header, padded with spaces so that the data starts at a multiple of 8.
  ///
  /// - Parameters:
  ///   - tensors: the tensors in the order of their data, each with its number of bytes.
  ///   - reserving: the number of bytes that the caller is going to append.
  public static func bytes(
    of tensors: [(name: String, dtype: DType, shape: [Int], count: Int)], metadata: [String: String],
    reserving: Int = 0
  ) -> [UInt8] {
    var header = JSONWriter(reserving: 128 + 128 * tensors.count)
    header.beginObject()
    if !metadata.isEmpty {
      header.key("__metadata__")
      header.beginObject()
      for (key, value) in metadata.sorted(by: { $0.key < $1.key }) {
        header.key(key)
        header.string(value)
      }
      header.endObject()
    }
    var offset = 0
    for tensor in tensors {
      write(tensor, at: offset, to: &header)
      offset += tensor.count
    }
    header.endObject()
    let padding = (8 - header.bytes.count % 8) % 8
    let length = UInt64(header.bytes.count + padding)
    var body: [UInt8] = []
    body.reserveCapacity(8 + Int(length) + reserving)
    withUnsafeBytes(of: length.littleEndian) { body.append(contentsOf: $0) }
    body.append(contentsOf: header.bytes)
    body.append(contentsOf: repeatElement(0x20, count: padding))
    return body
  }

  private static func write(
    _ tensor: (name: String, dtype: DType, shape: [Int], count: Int), at offset: Int, to header: inout JSONWriter
  ) {
    header.key(tensor.name)
    header.beginObject()
    header.key("dtype")
    header.string(tensor.dtype.rawValue)
    header.key("shape")
    header.beginArray()
    for extent in tensor.shape { header.integer(extent) }
    header.endArray()
    header.key("data_offsets")
    header.beginArray()
    header.integer(offset)
    header.integer(offset + tensor.count)
    header.endArray()
    header.endObject()
  }
}

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
  /// - Throws: `SafetensorsError` when `shape` has another number of elements, or the name is taken or reserved.
  public mutating func add(
    name: String, shape: [Int], floats: UnsafeBufferPointer<Float>
  ) throws(SafetensorsError) {
    try add(name: name, dtype: .f32, shape: shape, bytes: UnsafeRawBufferPointer(floats))
  }

  /// Adds a tensor of 32-bit floats; the array is kept, and is copied only when the body is written.
  /// - Throws: `SafetensorsError` when `shape` has another number of elements, or the name is taken or reserved.
  public mutating func add(name: String, shape: [Int], floats: [Float]) throws(SafetensorsError) {
    try add(name, .f32, shape, count: floats.count * 4, .floats(floats))
  }

  /// Adds a tensor by its little-endian bytes, which are copied.
  /// - Throws: `SafetensorsError` when `shape` and `dtype` need another number of bytes, or the name is taken or
  ///   reserved.
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

  /// The whole body: the length, the header padded with spaces so that the data starts at a multiple of 8, and the
  /// data.
  ///
  /// Tensors with larger elements come first, so that each is aligned to its element. Names break ties, and metadata is
  /// sorted, so that the same content gives the same bytes.
  public func serialize(metadata: [String: String] = [:]) -> [UInt8] {
    let ordered = parts.sorted { ($1.dtype.size, $0.name) < ($0.dtype.size, $1.name) }
    var body = SafetensorsHead.bytes(
      of: ordered.map { (name: $0.name, dtype: $0.dtype, shape: $0.shape, count: $0.count) }, metadata: metadata,
      reserving: ordered.reduce(0) { $0 + $1.count })
    for part in ordered { part.content.withBytes { body.append(contentsOf: $0) } }
    return body
  }
}
