/// The word that is being read: its normalised bytes and, where asked for, the part of the text that each comes from.
struct WordBuffer {
  /// Where a byte comes from in the original text.
  typealias Span = (start: Int, stop: Int)

  private let room: UnsafeMutableBufferPointer<UInt8>
  private let spans: UnsafeMutableBufferPointer<Span>
  private let maximumCharacters: Int
  /// Spans are kept.
  let isTraced: Bool
  private(set) var length = 0
  private(set) var characters = 0
  /// The part of the text that the whole word comes from.
  private(set) var start = 0
  private(set) var stop = 0

  /// `room` has four bytes for each of `maximumCharacters`, `spans` as many entries, or none.
  init(
    _ room: UnsafeMutableBufferPointer<UInt8>, _ spans: UnsafeMutableBufferPointer<Span>, maximumCharacters: Int
  ) {
    self.room = room
    self.spans = spans
    self.maximumCharacters = maximumCharacters
    isTraced = !spans.isEmpty
  }

  /// More characters than a word may have: the bytes are not all there.
  var isTooLong: Bool { characters > maximumCharacters }
  var bytes: UnsafeBufferPointer<UInt8> { UnsafeBufferPointer(rebasing: room[0..<length]) }

  mutating func clear() {
    length = 0
    characters = 0
  }

  /// The span behind the bytes `range`, which are in the buffer. Only when traced.
  func span(_ range: Range<Int>) -> Span { (spans[range.lowerBound].start, spans[range.upperBound - 1].stop) }

  /// Appends an ASCII character that stands at `position`.
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
    // SAFETY: as above.
    room[length] = UInt8(truncatingIfNeeded: byte)
    if isTraced { spans[length] = span }
    length &+= 1
  }
}

/// Scalars of text that is known to be valid UTF-8, as all of a `String` is.
enum UTF8Scalars {
  /// The scalar whose first byte is at `position`, which is within the text.
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

  /// The scalar that ends at `position`, nil at the start of the text.
  static func scalar(in text: UnsafeBufferPointer<UInt8>, before position: Int) -> (value: UInt32, length: Int)? {
    var start = position - 1
    while start > 0 && text[start] & 0xC0 == 0x80 { start -= 1 }
    return start >= 0 ? scalar(in: text, at: start) : nil
  }

  /// Appends the UTF-8 of a scalar value.
  static func append(_ scalar: UInt32, to bytes: inout [UInt8]) {
    guard let scalar = Unicode.Scalar(scalar) else { return }
    bytes.append(contentsOf: Unicode.UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
  }
}
