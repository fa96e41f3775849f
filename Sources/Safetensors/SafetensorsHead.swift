import JSON

/// What stands before the data of a safetensors body: for a body whose data is sent piece by piece.
public enum SafetensorsHead {
  /// Bytes of a header that every reader of the format takes.
  public static let longest = Header.maximumLength

  /// The head of a body with one tensor, whose bytes follow, in pieces: long metadata is neither copied nor joined.
  ///
  /// - Parameter metadata: names that need no escaping, and values as they stand between the quotes of a JSON string.
  /// - Throws: `SafetensorsError` when the shape is too large, or the header longer than readers take.
  public static func pieces(
    name: String, dtype: DType, shape: [Int], escaped metadata: [(key: String, value: [UInt8])]
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
    // Its opening bracket stands before the metadata.
    pieces.append(Array((metadata.isEmpty ? "\(before)}," : #""},"#).utf8) + tensor.bytes.dropFirst())
    let length = pieces.reduce(0) { $0 + $1.count }
    let padding = (8 - length % 8) % 8
    guard length + padding <= longest else {
      throw SafetensorsError(message: "a header of \(length + padding) bytes is over the limit of \(longest)")
    }
    pieces.append([UInt8](repeating: 0x20, count: padding))
    return [withUnsafeBytes(of: UInt64(length + padding).littleEndian) { Array($0) }] + pieces
  }

  /// The length, then the header, padded with spaces so that the data starts at a multiple of 8.
  ///
  /// - Parameters:
  ///   - tensors: in the order of their data; `count` is their bytes.
  ///   - reserving: bytes that the caller is going to append.
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
