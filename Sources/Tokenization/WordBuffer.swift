/// The word that is being read: its normalised bytes and, where needed, the part of the text that each comes from.
struct WordBuffer {
  /// The part of the original text that a byte comes from, as byte offsets.
  typealias Span = (start: Int, stop: Int)

  private let room: UnsafeMutableBufferPointer<UInt8>
  private let spans: UnsafeMutableBufferPointer<Span>
  private let maximumCharacters: Int
  /// Whether the span of each byte is kept.
  let isTraced: Bool
  /// The number of bytes in the buffer.
  private(set) var length = 0
  /// The number of characters of the word, including those that are not in the buffer.
  private(set) var characters = 0
  /// The part of the text that the whole word comes from.
  private(set) var start = 0
  private(set) var stop = 0

  /// Creates an empty word. `room` has four bytes for each of `maximumCharacters`; `spans` has as many entries, or
  /// none.
  init(
    _ room: UnsafeMutableBufferPointer<UInt8>, _ spans: UnsafeMutableBufferPointer<Span>, maximumCharacters: Int
  ) {
    self.room = room
    self.spans = spans
    self.maximumCharacters = maximumCharacters
    isTraced = !spans.isEmpty
  }

  /// Whether the word has more characters than are kept, so that some of its bytes are missing.
  var isTooLong: Bool { characters > maximumCharacters }
  var bytes: UnsafeBufferPointer<UInt8> { UnsafeBufferPointer(rebasing: room[0..<length]) }

  mutating func clear() {
    length = 0
    characters = 0
  }

  /// The part of the text that the bytes `range` of the buffer come from. Only when traced.
  func span(_ range: Range<Int>) -> Span { (spans[range.lowerBound].start, spans[range.upperBound - 1].stop) }

  /// Appends an ASCII character that comes from the byte at `position`.
  @inline(__always)
  mutating func append(ascii byte: UInt8, at position: Int) {
    if characters == 0 { start = position }
    stop = position &+ 1
    if characters < maximumCharacters {
      // SAFETY: fewer than maximumCharacters characters of at most four bytes are in the buffer.
      room[length] = byte
      if isTraced { spans[length] = (position, stop) }
      length &+= 1
    }
    characters &+= 1
  }

  /// Appends a scalar value that comes from `span`.
  mutating func append(_ scalar: UInt32, from span: Span) {
    if characters == 0 { start = span.start }
    stop = span.stop
    characters &+= 1
    guard characters <= maximumCharacters else { return }
    switch scalar {
    case 0..<0x80:
      put(scalar, span)
    case 0x80..<0x800:
      put(0xC0 | scalar >> 6, span)
      put(0x80 | scalar & 0x3F, span)
    case 0x800..<0x10000:
      put(0xE0 | scalar >> 12, span)
      put(0x80 | scalar >> 6 & 0x3F, span)
      put(0x80 | scalar & 0x3F, span)
    default:
      put(0xF0 | scalar >> 18, span)
      put(0x80 | scalar >> 12 & 0x3F, span)
      put(0x80 | scalar >> 6 & 0x3F, span)
      put(0x80 | scalar & 0x3F, span)
    }
  }

  @inline(__always)
  private mutating func put(_ byte: UInt32, _ span: Span) {
    // SAFETY: fewer than maximumCharacters characters of at most four bytes are in the buffer before this one.
    room[length] = UInt8(truncatingIfNeeded: byte)
    if isTraced { spans[length] = span }
    length &+= 1
  }
}

/// Reads and writes the scalars of valid UTF-8, such as the bytes of a `String`.
enum UTF8Scalars {
  /// The scalar whose first byte is at `position`, which must be within the text.
  @inline(__always)
  static func scalar(in text: UnsafeBufferPointer<UInt8>, at position: Int) -> (value: UInt32, length: Int) {
    // SAFETY: valid UTF-8 has the continuation bytes that a lead byte announces.
    let lead = UInt32(text[position])
    if lead < 0x80 { return (lead, 1) }
    let second = UInt32(text[position &+ 1]) & 0x3F
    if lead < 0xE0 { return ((lead & 0x1F) << 6 | second, 2) }
    let third = UInt32(text[position &+ 2]) & 0x3F
    if lead < 0xF0 { return ((lead & 0x0F) << 12 | second << 6 | third, 3) }
    return ((lead & 0x07) << 18 | second << 12 | third << 6 | UInt32(text[position &+ 3]) & 0x3F, 4)
  }

  /// The scalar that ends at `position`; nil at the start of the text.
  static func scalar(in text: UnsafeBufferPointer<UInt8>, before position: Int) -> (value: UInt32, length: Int)? {
    var start = position - 1
    while start > 0 && text[start] & 0xC0 == 0x80 { start -= 1 }
    return start >= 0 ? scalar(in: text, at: start) : nil
  }

  /// Appends the UTF-8 of a scalar value.
  static func append(_ scalar: UInt32, to bytes: inout [UInt8]) {
    func tail(_ shift: UInt32) -> UInt8 { UInt8(truncatingIfNeeded: 0x80 | scalar >> shift & 0x3F) }
    switch scalar {
    case 0..<0x80: bytes.append(UInt8(truncatingIfNeeded: scalar))
    case 0x80..<0x800:
      bytes.append(UInt8(truncatingIfNeeded: 0xC0 | scalar >> 6))
      bytes.append(tail(0))
    case 0x800..<0x10000:
      bytes.append(UInt8(truncatingIfNeeded: 0xE0 | scalar >> 12))
      bytes.append(tail(6))
      bytes.append(tail(0))
    default:
      bytes.append(UInt8(truncatingIfNeeded: 0xF0 | scalar >> 18))
      bytes.append(tail(12))
      bytes.append(tail(6))
      bytes.append(tail(0))
    }
  }
}
