import Platform

/// A string as its UTF-8 bytes: equal and in order as those are, where `String` compares what they look like.
struct ByteText: Sendable, Hashable, Comparable {
  let string: String

  init(_ string: String) { self.string = string }

  static func == (a: ByteText, b: ByteText) -> Bool {
    a.string.utf8.count == b.string.utf8.count && compare(a, b) == 0
  }

  static func < (a: ByteText, b: ByteText) -> Bool { compare(a, b) < 0 }

  func hash(into hasher: inout Hasher) {
    var string = string
    string.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
  }

  /// Below, at or above zero as `a` comes before `b`, is `b`, or comes after it.
  private static func compare(_ a: ByteText, _ b: ByteText) -> Int {
    var (left, right) = (a.string, b.string)
    return left.withUTF8 { left in
      right.withUTF8 { right in
        guard let first = left.baseAddress, let second = right.baseAddress else { return left.count - right.count }
        // SAFETY: both buffers are at least as long as the shorter one.
        let order = memcmp(first, second, min(left.count, right.count))
        return order != 0 ? Int(order) : left.count - right.count
      }
    }
  }
}
