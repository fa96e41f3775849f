import VectorStore

/// A batch of changes as the table of changes has it: everything that a replica needs to apply it, in one value.
///
/// All numbers are little-endian. After a byte with the format, 1, come the number of points (u32) and each point: its id, text
/// and metadata, each behind its length (u32; 0xffffffff for none), and its values (f32); then the number of deleted ids (u32)
/// and each id behind its length.
package enum ChangePayload {
  private static let format: UInt8 = 1
  private static let none = UInt32.max

  package static func encode(upserts: [Point], deletes: [[UInt8]]) -> [UInt8] {
    var out: [UInt8] = [format]
    out.reserveCapacity(
      upserts.reduce(16) { $0 + 12 + $1.id.utf8.count + 4 * $1.vector.count + ($1.metadata?.count ?? 0) }
        + deletes.reduce(0) { $0 + 4 + $1.count })
    append(UInt32(truncatingIfNeeded: upserts.count), to: &out)
    for point in upserts {
      append(Array(point.id.utf8), to: &out)
      append(point.text.map { Array($0.utf8) }, to: &out)
      append(point.metadata, to: &out)
      point.vector.withUnsafeBytes { out.append(contentsOf: $0) }
    }
    append(UInt32(truncatingIfNeeded: deletes.count), to: &out)
    for id in deletes { append(id, to: &out) }
    return out
  }

  /// - Returns: nil when the bytes are not what ``encode(upserts:deletes:)`` makes for this dimension.
  package static func decode(_ bytes: [UInt8], dimension: Int) -> (upserts: [Point], deletes: [String])? {
    var reader = Reader(bytes: bytes)
    guard reader.byte() == format, let count = reader.count() else { return nil }
    var upserts: [Point] = []
    for _ in 0..<count {
      guard let id = reader.value(), let id, let text = reader.value(), let metadata = reader.value(),
        let vector = reader.floats(dimension)
      else { return nil }
      upserts.append(
        Point(
          id: String(decoding: id, as: UTF8.self), vector: vector,
          text: text.map { String(decoding: $0, as: UTF8.self) }, metadata: metadata))
    }
    guard let count = reader.count() else { return nil }
    var deletes: [String] = []
    for _ in 0..<count {
      guard let id = reader.value(), let id else { return nil }
      deletes.append(String(decoding: id, as: UTF8.self))
    }
    return reader.isAtEnd ? (upserts, deletes) : nil
  }

  private static func append(_ number: UInt32, to out: inout [UInt8]) {
    withUnsafeBytes(of: number.littleEndian) { out.append(contentsOf: $0) }
  }

  private static func append(_ value: [UInt8]?, to out: inout [UInt8]) {
    append(value.map { UInt32(truncatingIfNeeded: $0.count) } ?? none, to: &out)
    if let value { out.append(contentsOf: value) }
  }

  /// Reads from the front; every length is checked against what is left.
  private struct Reader {
    let bytes: [UInt8]
    private var place = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    var isAtEnd: Bool { place == bytes.count }

    mutating func byte() -> UInt8? {
      guard place < bytes.count else { return nil }
      defer { place += 1 }
      return bytes[place]
    }

    mutating func number() -> UInt32? {
      guard bytes.count - place >= 4 else { return nil }
      defer { place += 4 }
      return (0..<4).reduce(0) { $0 | UInt32(bytes[place + $1]) << UInt32(8 * $1) }
    }

    /// A number of things, each of which takes at least four bytes.
    mutating func count() -> Int? {
      guard let count = number(), Int(count) <= (bytes.count - place) / 4 else { return nil }
      return Int(count)
    }

    /// nil when there is no value, and nil within when there is one that is absent.
    mutating func value() -> [UInt8]?? {
      guard let count = number() else { return nil }
      guard count != none else { return .some(nil) }
      guard Int(count) <= bytes.count - place else { return nil }
      defer { place += Int(count) }
      return Array(bytes[place..<place + Int(count)])
    }

    // SAFETY: the bytes are there, and are copied into memory of its own.
    mutating func floats(_ count: Int) -> [Float]? {
      guard 4 * count <= bytes.count - place else { return nil }
      defer { place += 4 * count }
      return [Float](unsafeUninitializedCapacity: count) { out, written in
        bytes.withUnsafeBytes { all in
          UnsafeMutableRawBufferPointer(out).copyMemory(
            from: UnsafeRawBufferPointer(rebasing: all[place..<place + 4 * count]))
        }
        written = count
      }
    }
  }
}
