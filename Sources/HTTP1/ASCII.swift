/// A set of ASCII bytes in two words, so that a test is a shift and a mask.
struct ByteSet: Sendable {
  let low: UInt64
  let high: UInt64

  @inline(__always)
  func contains(_ byte: UInt8) -> Bool {
    byte < 128 && ((byte < 64 ? low : high) &>> UInt64(byte & 63)) & 1 == 1
  }

  /// tchar (RFC 9110, 5.6.2): letters, digits and ``!#$%&'*+-.^_`|~``.
  static let token = ByteSet(low: 0x03ff_6cfa_0000_0000, high: 0x57ff_ffff_c7ff_fffe)
  /// What the parser lets into a request target, beside UTF-8: visible characters, without the `#` that would begin a
  /// fragment.
  static let target = ByteSet(low: 0xffff_fff6_0000_0000, high: 0x7fff_ffff_ffff_ffff)
  /// What a path holds as it is (RFC 3986, 3.3): unreserved, sub-delims and `:@/%`.
  static let path = ByteSet(low: 0x2fff_fff2_0000_0000, high: 0x47ff_fffe_87ff_ffff)
  /// What a query, with its `?`, holds as it is (RFC 3986, 3.4): what a path holds, `?`, and `[]`, which belong to IPv6
  /// addresses but which clients have always left unencoded.
  static let query = ByteSet(low: 0xafff_fff2_0000_0000, high: 0x47ff_fffe_afff_ffff)
  /// reg-name (RFC 3986, 3.2.2): unreserved, sub-delims and `%`.
  static let registeredName = ByteSet(low: 0x2bff_7ff2_0000_0000, high: 0x47ff_fffe_87ff_fffe)
}

/// Bytes by their names in the RFCs, and classes of them.
enum ASCII {
  static let tab: UInt8 = 0x09
  static let lf: UInt8 = 0x0a
  static let cr: UInt8 = 0x0d
  static let space: UInt8 = 0x20
  static let quote: UInt8 = 0x22
  static let percent: UInt8 = 0x25
  static let asterisk: UInt8 = 0x2a
  static let comma: UInt8 = 0x2c
  static let dot: UInt8 = 0x2e
  static let slash: UInt8 = 0x2f
  static let zero: UInt8 = 0x30
  static let nine: UInt8 = 0x39
  static let colon: UInt8 = 0x3a
  static let semicolon: UInt8 = 0x3b
  static let equals: UInt8 = 0x3d
  static let question: UInt8 = 0x3f
  static let at: UInt8 = 0x40
  static let leftBracket: UInt8 = 0x5b
  static let backslash: UInt8 = 0x5c
  static let rightBracket: UInt8 = 0x5d

  @inline(__always)
  static func lowercased(_ byte: UInt8) -> UInt8 {
    byte &- 0x41 < 26 ? byte | 0x20 : byte
  }

  @inline(__always)
  static func isDigit(_ byte: UInt8) -> Bool { byte &- zero < 10 }

  /// The value of a HEXDIG, nil for any other byte.
  @inline(__always)
  static func hexValue(_ byte: UInt8) -> UInt8? {
    if byte &- zero < 10 { return byte &- zero }
    let letter = lowercased(byte) &- 0x61
    return letter < 6 ? letter &+ 10 : nil
  }

  /// The HEXDIG of a value below 16, in upper case as RFC 3986, 2.1 prefers it.
  @inline(__always)
  static func hexDigit(_ value: UInt8) -> UInt8 { value < 10 ? zero &+ value : 0x37 &+ value }

  /// field-content (RFC 9110, 5.5): visible characters, SP, HTAB and obs-text.
  @inline(__always)
  static func isFieldValue(_ byte: UInt8) -> Bool {
    byte >= 0x20 ? byte != 0x7f : byte == tab
  }

  @inline(__always)
  static func isBlank(_ byte: UInt8) -> Bool { byte == space || byte == tab }
}
