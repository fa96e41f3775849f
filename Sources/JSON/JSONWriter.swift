import COpenSSL
import CSimdjson

/// Writes JSON text (RFC 8259) as UTF-8, and places the commas.
///
/// The caller must balance `begin…` and `end…`, and must call ``key(_:)`` before each value of an object.
public struct JSONWriter: Sendable {
  /// The text so far.
  public private(set) var bytes: [UInt8] = []
  /// Whether a number was NaN or infinite. Such a number is written as 0, and the text must then not be used.
  public private(set) var sawNonFinite = false
  /// Bytes of the text that are digits of floats.
  public private(set) var floatBytes = 0
  /// Bytes of the text that are base64.
  public private(set) var base64Bytes = 0
  private var needsComma = false

  /// Creates a writer with room for `reserving` bytes before it grows.
  public init(reserving: Int = 256) {
    bytes.reserveCapacity(max(0, reserving))
  }

  public mutating func beginObject() { open(0x7B) }
  public mutating func endObject() { close(0x7D) }
  public mutating func beginArray() { open(0x5B) }
  public mutating func endArray() { close(0x5D) }

  /// Writes the name of a member, whose value must come next.
  public mutating func key(_ name: String) {
    string(name)
    bytes.append(0x3A)
    needsComma = false
  }

  /// Writes a string, escaping only what RFC 8259, section 7, requires.
  public mutating func string(_ value: String) {
    separate()
    bytes.append(0x22)
    var value = value
    value.withUTF8 { appendEscaped($0) }
    bytes.append(0x22)
  }

  /// Writes a string: the base64 (RFC 4648, section 4) of numbers as little-endian f32, as one row. As base64 would hide
  /// it, a number that is not finite is flagged as by ``number(_:)``.
  public mutating func base64(_ values: UnsafeBufferPointer<Float>) {
    guard values.isFinite else { return number(Float.nan) }
    let start = bytes.count
    separate()
    bytes.append(0x22)
    // Both of the supported processors are little-endian.
    let raw = UnsafeRawBufferPointer(values)
    withUnsafeTemporaryAllocation(of: UInt8.self, capacity: (raw.count + 2) / 3 * 4 + 1) { room in
      // SAFETY: `room` has four bytes for each three that are begun, and one for the end mark of OpenSSL.
      let length = nf_base64(raw.baseAddress, raw.count, room.baseAddress)
      bytes.append(contentsOf: room.prefix(max(0, Int(length))))
    }
    bytes.append(0x22)
    base64Bytes += bytes.count - start
  }

  public mutating func integer(_ value: Int) { literal(String(value)) }
  public mutating func bool(_ value: Bool) { literal(value ? "true" : "false") }
  public mutating func null() { literal("null") }

  /// Writes the shortest decimal number that reads back as the same float.
  public mutating func number(_ value: Float) {
    separate()
    let start = bytes.count
    appendNumber { csj_write_float(value, $0, &$1) }
    floatBytes += bytes.count - start
  }

  /// Writes the shortest decimal number that reads back as the same double.
  public mutating func number(_ value: Double) {
    separate()
    appendNumber { csj_write_double(value, $0, &$1) }
  }

  /// Writes a whole array of numbers, each as ``number(_:)`` writes it.
  public mutating func floats(_ values: UnsafeBufferPointer<Float>) {
    beginArray()
    append(values)
    endArray()
  }

  /// Writes a whole value that is JSON text already, such as another writer's ``bytes``. The text is not checked.
  public mutating func raw(_ json: [UInt8]) {
    separate()
    bytes.append(contentsOf: json)
  }

  /// Writes a parsed value. Numbers keep their value, but not their spelling.
  public mutating func copy(_ value: JSONValue) {
    switch value.kind {
    case .null: null()
    case .bool: bool(value.bool ?? false)
    case .string: string(value.text)
    case .number:
      separate()
      appendNumber { out, _ in csj_write_number_at(value.document.tape, value.at, out) }
    case .array:
      beginArray()
      for element in value.elements ?? [] { copy(element) }
      endArray()
    case .object:
      beginObject()
      for member in value.members ?? [] {
        key(member.key)
        copy(member.value)
      }
      endObject()
    }
  }

  private mutating func separate() {
    if needsComma { bytes.append(0x2C) }
    needsComma = true
  }

  private mutating func open(_ bracket: UInt8) {
    separate()
    bytes.append(bracket)
    needsComma = false
  }

  private mutating func close(_ bracket: UInt8) {
    bytes.append(bracket)
    needsComma = true
  }

  private mutating func literal(_ text: String) {
    separate()
    bytes.append(contentsOf: text.utf8)
  }

  private mutating func appendNumber(_ write: (UnsafeMutablePointer<UInt8>?, inout Bool) -> Int) {
    withUnsafeTemporaryAllocation(of: UInt8.self, capacity: Int(CSJ_MAX_DOUBLE)) { room in
      let length = write(room.baseAddress, &sawNonFinite)
      bytes.append(contentsOf: room.prefix(length))
    }
  }

  private mutating func append(_ values: UnsafeBufferPointer<Float>) {
    // Blocks go through a buffer on the stack: the array then grows by its usual doubling, and no block is written
    // twice.
    let block = 1024
    let start = bytes.count
    defer { floatBytes += bytes.count - start }
    let capacity = min(block, values.count) * Int(CSJ_MAX_FLOAT) + Int(CSJ_FLOAT_MARGIN)
    withUnsafeTemporaryAllocation(of: UInt8.self, capacity: capacity) { room in
      var next = 0
      while next < values.count {
        let part = UnsafeBufferPointer(rebasing: values[next..<min(next + block, values.count)])
        // SAFETY: `room` holds CSJ_MAX_FLOAT bytes for each number of a block, and CSJ_FLOAT_MARGIN behind them.
        let length = csj_write_floats(part.baseAddress, part.count, room.baseAddress, &sawNonFinite)
        if next > 0 { bytes.append(0x2C) }
        bytes.append(contentsOf: room.prefix(length))
        next += part.count
      }
    }
  }

  private mutating func appendEscaped(_ text: UnsafeBufferPointer<UInt8>) {
    var rest = text
    while !rest.isEmpty {
      // SAFETY: csj_plain_prefix reads only the bytes that it is given.
      let plain = csj_plain_prefix(rest.baseAddress, rest.count)
      bytes.append(contentsOf: rest.prefix(plain))
      guard plain < rest.count else { return }
      appendEscape(of: rest[plain])
      rest = UnsafeBufferPointer(rebasing: rest.dropFirst(plain + 1))
    }
  }

  private mutating func appendEscape(of byte: UInt8) {
    bytes.append(0x5C)
    switch byte {
    case 0x22, 0x5C: bytes.append(byte)
    case 0x08: bytes.append(0x62)
    case 0x09: bytes.append(0x74)
    case 0x0A: bytes.append(0x6E)
    case 0x0C: bytes.append(0x66)
    case 0x0D: bytes.append(0x72)
    default:
      let digits = Array("0123456789abcdef".utf8)
      bytes.append(contentsOf: [0x75, 0x30, 0x30, digits[Int(byte >> 4)], digits[Int(byte & 15)]])
    }
  }
}

extension UnsafeBufferPointer<Float> {
  /// Whether no value is infinite or NaN.
  public var isFinite: Bool {
    // The largest magnitude as bits: a loop without a branch, which the compiler turns into vector code. Magnitudes are
    // in the order of their bits, and above the largest finite one stand infinity and the NaNs.
    var largest: UInt32 = 0
    for value in self { largest = Swift.max(largest, value.bitPattern & 0x7FFF_FFFF) }
    return largest < 0x7F80_0000
  }
}
