/// The alphabet of byte-level BPE (Radford et al. 2019): a printable character for each byte.
enum ByteAlphabet {
  /// The character of each byte: itself where it is printable in Latin-1, and otherwise one from U+0100 on.
  static let characters: [UInt32] = {
    var next: UInt32 = 0x100
    return (UInt32(0)..<256).map { byte in
      switch byte {
      case 0x21...0x7E, 0xA1...0xAC, 0xAE...0xFF: return byte
      default:
        defer { next += 1 }
        return next
      }
    }
  }()

  private static let bytes: [UInt32: UInt8] = {
    var bytes: [UInt32: UInt8] = [:]
    for (byte, character) in characters.enumerated() { bytes[character] = UInt8(byte) }
    return bytes
  }()

  /// The bytes that a text of the alphabet spells; nil when it has other characters.
  static func bytes(of text: String) -> [UInt8]? {
    var result: [UInt8] = []
    for scalar in text.unicodeScalars {
      guard let byte = bytes[scalar.value] else { return nil }
      result.append(byte)
    }
    return result
  }

  /// A text with each byte spelled by its character, which has the place of the scalar that the byte belongs to.
  static func spell(_ text: AlignedText) -> AlignedText {
    var result = AlignedText(rewriting: text)
    for (position, byte) in text.bytes.enumerated() { result.append(characters[Int(byte)], text.span(at: position)) }
    return result
  }
}
