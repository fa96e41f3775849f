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
