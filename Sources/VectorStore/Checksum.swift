/// 64 bits over the values of a row or a file, to find a flipped bit, a lost byte or a swapped value; no defence against an
/// attacker.
///
/// Every step is a bijection of the state for a given word, so a change within one word always changes the result.
package struct Checksum {
  private var state: UInt64

  /// - Parameter kind: tells rows of different tables, and files, apart.
  package init(_ kind: UInt64) { state = kind &* 0x9E37_79B9_7F4A_7C15 }

  package mutating func add(_ word: UInt64) {
    state = (state ^ word) &* 0xFF51_AFD7_ED55_8CCD
    state ^= state >> 32
  }

  package mutating func add(_ number: Int64) { add(UInt64(bitPattern: number)) }

  /// Absent and empty differ.
  package mutating func add(_ text: String?) {
    guard var text else { return add(UInt64.max) }
    text.withUTF8 { add(UnsafeRawBufferPointer($0)) }
  }

  package mutating func add(_ bytes: [UInt8]?) {
    guard let bytes else { return add(UInt64.max) }
    bytes.withUnsafeBytes { add($0) }
  }

  /// The values of a point, all at once.
  package mutating func add(_ point: Point) {
    add(point.id)
    add(point.vector)
    add(point.text)
    add(point.metadata)
  }

  mutating func add(_ values: [Float]) { values.withUnsafeBytes { add($0) } }

  mutating func add(_ bytes: UnsafeRawBufferPointer) {
    add(UInt64(bytes.count))
    addWords(bytes)
  }

  /// A part of a buffer whose length has been added; every part but the last must be a multiple of 8 bytes.
  // SAFETY: every load is within the buffer's bounds, which are checked.
  mutating func addWords(_ bytes: UnsafeRawBufferPointer) {
    let whole = bytes.count & ~7
    for offset in stride(from: 0, to: whole, by: 8) {
      add(UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)))
    }
    var last: UInt64 = 0
    for offset in whole..<bytes.count { last = last << 8 | UInt64(bytes[offset]) }
    if whole < bytes.count { add(last) }
  }

  /// As the signed integer that databases store.
  package var value: Int64 { Int64(bitPattern: state) }
}
