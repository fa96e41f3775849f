import Platform

/// Lines of a log, as bytes: JSON objects, or text in which names and values follow the message as `name=value` (logfmt).
///
/// Whatever a value is, it cannot end its line, begin another member, or send a control sequence to a terminal.
public struct LogText: Sendable {
  public enum Form: Sendable { case text, json }

  public let form: Form
  public private(set) var bytes: [UInt8] = []
  /// The second of the last line and its name: most lines begin in the second of the line before.
  private var second = (number: Int.min, name: "")

  public init(_ form: Form) { self.form = form }

  public var isEmpty: Bool { bytes.isEmpty }

  /// Takes all lines out, and leaves `empty` to write the next ones to, so that its storage stays in use.
  public mutating func take(leaving empty: [UInt8] = []) -> [UInt8] {
    var taken = empty
    swap(&taken, &bytes)
    bytes.removeAll(keepingCapacity: true)
    return taken
  }

  /// Begins a line. Its members follow, then ``end()``.
  public mutating func begin(_ time: Timestamp, level: StaticString, _ message: String) {
    switch form {
    case .text:
      append(time)
      append(" ")
      append(level)
      append(" ")
      appendEscaped(message, quotes: false)
    case .json:
      append("{\"time\":\"")
      append(time)
      append("\",\"level\":\"")
      append(level)
      append("\",\"message\":\"")
      appendEscaped(message, quotes: true)
      append("\"")
    }
  }

  public mutating func end() {
    if form == .json { bytes.append(UInt8(ascii: "}")) }
    bytes.append(UInt8(ascii: "\n"))
  }

  /// Adds a member. An absent or empty value adds nothing.
  public mutating func member(_ name: StaticString, _ value: String?) {
    guard let value, !value.isEmpty else { return }
    beginMember(name)
    guard form == .json || !value.utf8.allSatisfy(Self.isBare) else { return append(value) }
    bytes.append(UInt8(ascii: "\""))
    appendEscaped(value, quotes: true)
    bytes.append(UInt8(ascii: "\""))
  }

  /// Adds a member whose value has only letters, digits and punctuation without quotes, backslashes and equals signs.
  mutating func member(_ name: StaticString, plain value: String) {
    beginMember(name)
    if form == .json { bytes.append(UInt8(ascii: "\"")) }
    append(value)
    if form == .json { bytes.append(UInt8(ascii: "\"")) }
  }

  public mutating func member(_ name: StaticString, _ value: Int) {
    beginMember(name)
    appendDigits(UInt64(value.magnitude), isNegative: value < 0)
  }

  /// Adds a time in milliseconds with three decimals.
  public mutating func member(_ name: StaticString, milliseconds nanoseconds: UInt64) {
    beginMember(name)
    let microseconds = nanoseconds / 1000 &+ (nanoseconds % 1000 >= 500 ? 1 : 0)
    appendDigits(microseconds / 1000)
    bytes.append(UInt8(ascii: "."))
    appendThreeDigits(Int(microseconds % 1000))
  }

  /// Appends a time as RFC 3339 writes it: `2030-01-31T12:00:00.250Z`.
  private mutating func append(_ time: Timestamp) {
    if second.number != time.seconds { second = (time.seconds, time.toTheSecond) }
    append(second.name)
    bytes.append(UInt8(ascii: "."))
    appendThreeDigits(time.milliseconds)
    append("Z")
  }

  private mutating func appendThreeDigits(_ number: Int) {
    bytes.append(Self.decimal(number / 100 % 10))
    bytes.append(Self.decimal(number / 10 % 10))
    bytes.append(Self.decimal(number % 10))
  }

  private mutating func beginMember(_ name: StaticString) {
    switch form {
    case .text:
      bytes.append(UInt8(ascii: " "))
      append(name)
      bytes.append(UInt8(ascii: "="))
    case .json:
      bytes.append(UInt8(ascii: ","))
      bytes.append(UInt8(ascii: "\""))
      append(name)
      bytes.append(UInt8(ascii: "\""))
      bytes.append(UInt8(ascii: ":"))
    }
  }

  /// Bytes that stand without quotes in logfmt.
  private static func isBare(_ byte: UInt8) -> Bool {
    (0x21...0x7e).contains(byte) && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "=")
      && byte != UInt8(ascii: "\\")
  }

  /// Bytes that stand for themselves in a quoted value.
  private static func isPlain(_ byte: UInt8) -> Bool {
    (0x20...0x7e).contains(byte) && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "\\")
  }

  /// - Parameter quotes: whether the text stands in quotes, so that quotes and backslashes have to be escaped.
  private mutating func appendEscaped(_ text: String, quotes: Bool) {
    guard !text.utf8.allSatisfy(Self.isPlain) else { return append(text) }
    for scalar in text.unicodeScalars {
      switch scalar.value {
      case 0x22, 0x5c:
        if quotes { append("\\") }
        append(String(scalar))
      case 0x0a: append("\\n")
      case 0x0d: append("\\r")
      case 0x09: append("\\t")
      // Control characters, and what else ends a line or turns the direction of writing.
      case ..<0x20, 0x7f...0x9f, 0x200e, 0x200f, 0x2028...0x202e, 0x2066...0x2069:
        append("\\u")
        for shift in [12, 8, 4, 0] { bytes.append(Self.digit(UInt8(truncatingIfNeeded: scalar.value >> shift))) }
      default: append(String(scalar))
      }
    }
  }

  /// The hexadecimal digit of the lowest four bits.
  private static func digit(_ value: UInt8) -> UInt8 {
    let low = value & 15
    return low < 10 ? UInt8(ascii: "0") + low : UInt8(ascii: "a") + low - 10
  }

  private mutating func appendDigits(_ number: UInt64, isNegative: Bool = false) {
    if isNegative { bytes.append(UInt8(ascii: "-")) }
    guard number < 1000 else { return append(String(number)) }
    let small = Int(number)
    if small >= 100 { bytes.append(Self.decimal(small / 100)) }
    if small >= 10 { bytes.append(Self.decimal(small / 10 % 10)) }
    bytes.append(Self.decimal(small % 10))
  }

  private static func decimal(_ digit: Int) -> UInt8 { UInt8(ascii: "0") + UInt8(truncatingIfNeeded: digit) }

  private mutating func append(_ text: String) { bytes.append(contentsOf: text.utf8) }

  private mutating func append(_ text: StaticString) {
    text.withUTF8Buffer { bytes.append(contentsOf: $0) }
  }
}
