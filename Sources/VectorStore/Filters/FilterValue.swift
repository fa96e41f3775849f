import JSON
import Platform

/// A scalar of JSON, as filters compare it.
public enum FilterValue: Sendable {
  case null
  case bool(Bool)
  case number(FilterNumber)
  case string(String)

  /// The scalar that a JSON value is; nil for an array or an object.
  init?(_ value: JSONValue) {
    switch value.kind {
    case .null: self = .null
    case .bool: self = .bool(value.bool ?? false)
    case .number: self = .number(FilterNumber(value))
    case .string: self = .string(value.string ?? "")
    case .array, .object: return nil
    }
  }
}

/// A number that compares exactly with every other: an integer of −2^63 ... 2^64 − 1, or a double.
///
/// It is the nearest double and what that lacks. Rounding to the nearest double keeps the order of numbers, so two numbers
/// are in the order of their doubles, and in the order of the remainders where the doubles are equal. Equal numbers have
/// one representation only, whether they were written as an integer or as a fraction.
public struct FilterNumber: Sendable, Hashable, Comparable, ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral {
  private let nearest: Double
  /// The number less `nearest`: at most 1,024 either way, since doubles below 2^64 are at most 2,048 apart.
  private let rest: Int16

  private init(whole: some FixedWidthInteger) {
    nearest = Double(whole)
    // In 128 bits, since the nearest double may be 2^63 or 2^64.
    rest = whole.magnitude <= 1 << 53 ? 0 : Int16(truncatingIfNeeded: Int128(whole) - Int128(nearest))
  }

  public init(_ integer: Int64) { self.init(whole: integer) }

  public init(_ integer: UInt64) { self.init(whole: integer) }

  /// - Precondition: `value` is not NaN, which no JSON text can state.
  public init(_ value: Double) {
    precondition(!value.isNaN, "NaN is in no order to other numbers")
    (nearest, rest) = (value, 0)
  }

  public init(integerLiteral value: Int64) { self.init(value) }

  public init(floatLiteral value: Double) { self.init(value) }

  /// The number that a JSON value states. Integers of 64 bits, signed or unsigned, are exact; any other number is the
  /// nearest double.
  init(_ value: JSONValue) {
    if let integer = value.integer {
      self.init(Int64(integer))
    } else if let natural = value.natural {
      self.init(natural)
    } else {
      self.init(value.double ?? 0)
    }
  }

  public static func < (a: FilterNumber, b: FilterNumber) -> Bool {
    a.nearest != b.nearest ? a.nearest < b.nearest : a.rest < b.rest
  }

  /// Ten bytes that stand in the order of the numbers: equal for equal numbers, and compared from the first byte on.
  var orderedBytes: [UInt8] {
    // There are two zeros of f64, which are one number.
    let bits = nearest == 0 ? 0 : nearest.bitPattern
    let ordered = bits >> 63 == 1 ? ~bits : bits | 1 << 63
    let rest = UInt16(bitPattern: self.rest) ^ 0x8000
    return withUnsafeBytes(of: ordered.bigEndian) { Array($0) } + withUnsafeBytes(of: rest.bigEndian) { Array($0) }
  }
}

/// A string as its UTF-8 bytes. `String` equates strings that are canonically equivalent in Unicode, and orders them
/// accordingly; filters do not.
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

  /// Negative when `a` comes before `b`, zero when they are equal, positive when `a` comes after `b`.
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
