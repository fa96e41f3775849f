/// Percent-encoding (RFC 3986, 2.1).
enum PercentEncoding {
  /// True when every `%` is followed by two HEXDIG.
  static func isValid(_ bytes: ArraySlice<UInt8>) -> Bool {
    var at = bytes.startIndex
    while at < bytes.endIndex {
      if bytes[at] == ASCII.percent {
        guard bytes.endIndex - at > 2, ASCII.hexValue(bytes[at + 1]) != nil, ASCII.hexValue(bytes[at + 2]) != nil else {
          return false
        }
        at += 3
      } else {
        at += 1
      }
    }
    return true
  }

  /// The decoded text. A `%` without two HEXDIG stays as it is; bytes that are not UTF-8 become U+FFFD.
  static func decode(_ bytes: ArraySlice<UInt8>, plusIsSpace: Bool) -> String {
    var decoded: [UInt8] = []
    decoded.reserveCapacity(bytes.count)
    var at = bytes.startIndex
    while at < bytes.endIndex {
      let byte = bytes[at]
      if byte == ASCII.percent, bytes.endIndex - at > 2,
        let high = ASCII.hexValue(bytes[at + 1]), let low = ASCII.hexValue(bytes[at + 2])
      {
        decoded.append(high << 4 | low)
        at += 3
      } else {
        decoded.append(plusIsSpace && byte == 0x2b ? ASCII.space : byte)
        at += 1
      }
    }
    return String(decoding: decoded, as: UTF8.self)
  }
}
