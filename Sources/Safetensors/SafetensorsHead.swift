import JSON

/// What stands before the data of a safetensors body: for a body whose data is sent piece by piece.
public enum SafetensorsHead {
  /// Bytes of a header that every reader of the format takes.
  public static let longest = Header.maximumLength

  /// The head of a body with one tensor, whose bytes follow.
  /// - Throws: `SafetensorsError` when the shape is too large, or the header longer than readers take.
  public static func bytes(
    name: String, dtype: DType, shape: [Int], metadata: [String: String]
  ) throws(SafetensorsError) -> [UInt8] {
    guard let count = byteCount(of: shape, dtype), name != "__metadata__" else {
      throw SafetensorsError(message: "tensor \"\(name)\": the shape \(shape) is too large, or its name is reserved")
    }
    let bytes = bytes(of: [(name: name, dtype: dtype, shape: shape, count: count)], metadata: metadata, reserving: 0)
    guard bytes.count - 8 <= longest else {
      throw SafetensorsError(message: "a header of \(bytes.count - 8) bytes is over the limit of \(longest)")
    }
    return bytes
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
      offset += tensor.count
      header.integer(offset)
      header.endArray()
      header.endObject()
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
}
