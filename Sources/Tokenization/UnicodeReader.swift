/// Reads the numbers in a string of `UnicodeData`: five bits a digit, least significant first; the sixth bit of a
/// digit says that more follow.
struct UnicodeReader {
  private let text: StaticString
  private var next = 0

  init(_ text: StaticString) {
    self.text = text
  }

  var isAtEnd: Bool { next >= text.utf8CodeUnitCount }

  mutating func number() -> Int {
    var value = 0
    var shift = 0
    while !isAtEnd {
      // SAFETY: `next` is below the length of the literal; all literals read here are plain ASCII.
      let digit = Self.digit(text.utf8Start[next])
      next += 1
      value |= (digit & 31) << shift
      shift += 5
      if digit < 32 { break }
    }
    return value
  }

  /// Zero, minus one, one, minus two …
  mutating func signed() -> Int {
    let value = number()
    return value & 1 == 0 ? value >> 1 : -(value >> 1) - 1
  }

  /// Calls `body` with each range of code points: gap to the range before, length less one.
  mutating func ranges(_ body: (ClosedRange<Int>, inout UnicodeReader) -> Void) {
    var after = 0
    while !isAtEnd {
      let first = after + number()
      let last = first + number()
      body(first...last, &self)
      after = last + 1
    }
  }

  /// Calls `body` with each mapping: gap, length less one, then each scalar as a difference.
  mutating func mappings(_ body: (Int, [UInt32]) -> Void) {
    var after = 0
    while !isAtEnd {
      let code = after + number()
      var result: [UInt32] = []
      var previous = code
      for _ in 0...number() {
        result.append(UInt32(truncatingIfNeeded: previous + signed()))
        previous = 0x300
      }
      body(code, result)
      after = code + 1
    }
  }

  private static func digit(_ byte: UInt8) -> Int {
    switch byte {
    case 0x30...0x39: Int(byte) - 0x30
    case 0x41...0x5A: Int(byte) - 0x41 + 10
    case 0x61...0x7A: Int(byte) - 0x61 + 36
    case 0x2D: 62
    default: 63
    }
  }
}
