import VectorStore

/// Rows of COPY in the binary format (PostgreSQL's documentation of COPY): a header, then tuples of a count of fields and the
/// fields behind their lengths, and a count of -1 at the end.
package struct CopyReader {
  private var hasHeader = false

  package init() {}

  /// - Parameter bytes: one message, which libpq gives whole: a tuple, the first one behind the header.
  /// - Returns: nil where the message holds no tuple.
  /// - Throws: for a row that is not as it was written.
  package mutating func point(
    _ bytes: UnsafeRawBufferPointer, _ collection: StoredCollection
  ) throws(PostgresError) -> Point? {
    var fields = CopyFields(bytes)
    if !hasHeader {
      // The signature has 11 bytes; flags and the length of an extension follow.
      guard fields.skip(15), let extra = fields.integer32(), extra >= 0, fields.skip(Int(extra)) else {
        throw .damage("COPY began in another format")
      }
      hasHeader = true
      if fields.isAtEnd { return nil }
    }
    guard let count = fields.integer16() else { throw .damage("COPY sent half a row") }
    if count == -1 { return nil }
    guard count == 6, let id = fields.field(), let id, let vector = fields.field(), let vector,
      let text = fields.field(), let metadata = fields.field(), let version = fields.field(), let version,
      let checksum = fields.field(), let checksum
    else { throw .damage("a row of nearfar.points is not as it was written") }
    let name = String(decoding: id, as: UTF8.self)
    guard !id.isEmpty, vector.count == 4 * collection.dimension else {
      throw .damage("point '\(name)' of collection '\(collection.name)' is not as it was written")
    }
    let values = [Float](unsafeUninitializedCapacity: collection.dimension) { out, written in
      UnsafeMutableRawBufferPointer(out).copyMemory(from: vector)
      written = collection.dimension
    }
    let point = Point(
      id: name, vector: values, text: text.map { String(decoding: $0, as: UTF8.self) },
      metadata: metadata.map { Array($0) })
    let stored = PointTable.checksum(
      point, collection: collection.id, version: Int(CopyFields.integer64(version)))
    guard stored == CopyFields.integer64(checksum), values.allSatisfy(\.isFinite) else {
      throw .damage("point '\(name)' of collection '\(collection.name)' is not as it was written")
    }
    return point
  }
}

/// Reads from the front; every length is checked against what is left.
// SAFETY: slices of the caller's buffer, used while it is valid.
private struct CopyFields {
  private let bytes: UnsafeRawBufferPointer
  private var place = 0

  init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  var isAtEnd: Bool { place == bytes.count }

  mutating func skip(_ count: Int) -> Bool {
    guard count <= bytes.count - place else { return false }
    place += count
    return true
  }

  mutating func integer16() -> Int16? {
    guard skip(2) else { return nil }
    return Int16(bigEndian: bytes.loadUnaligned(fromByteOffset: place - 2, as: Int16.self))
  }

  mutating func integer32() -> Int32? {
    guard skip(4) else { return nil }
    return Int32(bigEndian: bytes.loadUnaligned(fromByteOffset: place - 4, as: Int32.self))
  }

  /// nil when there is no field, and nil within when it is NULL.
  mutating func field() -> UnsafeRawBufferPointer?? {
    guard let length = integer32() else { return nil }
    guard length >= 0 else { return .some(nil) }
    guard skip(Int(length)) else { return nil }
    return UnsafeRawBufferPointer(rebasing: bytes[place - Int(length)..<place])
  }

  /// A bigint; 0 when it is none.
  static func integer64(_ bytes: UnsafeRawBufferPointer) -> Int64 {
    bytes.count == 8 ? Int64(bigEndian: bytes.loadUnaligned(as: Int64.self)) : 0
  }
}
