// All unsafe code of HTTP1: block copies and comparisons with literals, which the standard library does not offer for
// spans yet.

extension Array where Element == UInt8 {
  /// Appends the bytes in one block copy.
  @inline(__always)
  mutating func append(copying span: Span<UInt8>) {
    // SAFETY: the pointer is used only inside the closure, while `span` is alive, and for exactly its length.
    span.withUnsafeBufferPointer { self.append(contentsOf: $0) }
  }

  /// Appends the bytes of a literal.
  @inline(__always)
  mutating func append(_ literal: StaticString) {
    // SAFETY: the literal lives as long as the process; ASCII literals always have a pointer representation.
    literal.withUTF8Buffer { self.append(contentsOf: $0) }
  }
}

extension ArraySlice<UInt8> {
  /// Case-insensitive comparison with a word in lower case.
  func equals(_ word: StaticString) -> Bool {
    guard count == word.utf8CodeUnitCount else { return false }
    // SAFETY: the literal's buffer has `utf8CodeUnitCount` bytes, which is `count` here.
    return word.withUTF8Buffer { literal in
      var at = startIndex
      for byte in literal {
        if ASCII.lowercased(self[at]) != byte { return false }
        at += 1
      }
      return true
    }
  }

  /// Without SP and HTAB at both ends, the only white space within a line of HTTP (RFC 9110, 5.6.3).
  var trimmed: ArraySlice<UInt8> {
    var rest = self
    while let first = rest.first, ASCII.isBlank(first) { rest.removeFirst() }
    while let last = rest.last, ASCII.isBlank(last) { rest.removeLast() }
    return rest
  }
}
