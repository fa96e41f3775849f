// The unsafe corner of HTTP1: block copies out of spans, which the standard library does not offer yet.

extension Array where Element == UInt8 {
  /// A copy of the bytes.
  init(copying span: Span<UInt8>) {
    // SAFETY: the pointer is used only inside the closure, while `span` is alive, and for exactly its length.
    self = span.withUnsafeBufferPointer { Array($0) }
  }

  /// Appends the bytes in one block copy.
  @inline(__always)
  mutating func append(copying span: Span<UInt8>) {
    // SAFETY: as above.
    span.withUnsafeBufferPointer { self.append(contentsOf: $0) }
  }

  /// Appends the bytes of a literal.
  @inline(__always)
  mutating func append(_ literal: StaticString) {
    // SAFETY: the literal lives as long as the process; ASCII literals always have a pointer representation.
    literal.withUTF8Buffer { self.append(contentsOf: $0) }
  }
}
