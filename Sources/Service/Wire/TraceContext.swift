/// The trace that a request is part of, as `traceparent` says it (W3C Trace Context, https://www.w3.org/TR/trace-context/).
///
/// Spans are not exported. The ids serve to find a request's line in the log by its trace, and `tracestate`, which is for what exports
/// spans, is ignored.
package struct TraceContext: Sendable {
  /// 32 lower-case hexadecimal digits.
  package let traceID: String
  /// The span of the caller: 16 lower-case hexadecimal digits.
  package let parentID: String
  /// The span of this request, which is a new one.
  package let spanID: String
  /// Whether the caller may record the trace.
  package let isSampled: Bool

  /// - Parameter value: of `traceparent`, with the values of repeated fields joined by commas, which makes them invalid.
  /// - Returns: nil for what is not valid. The request is then treated as one without the field.
  package init?(_ value: String) {
    let bytes = Array(value.utf8.prefix(Self.length + 1))
    guard bytes.count >= Self.length, Self.dashes.allSatisfy({ bytes[$0] == UInt8(ascii: "-") }),
      Self.parts.allSatisfy({ bytes[$0].allSatisfy(Self.isDigit) })
    else { return nil }
    let version = bytes[0..<2]
    guard !version.allSatisfy({ $0 == UInt8(ascii: "f") }) else { return nil }
    // A later version may have more behind another dash.
    let isVersionZero = version.allSatisfy { $0 == UInt8(ascii: "0") }
    guard bytes.count == Self.length || !isVersionZero && bytes[Self.length] == UInt8(ascii: "-") else { return nil }
    let (trace, parent) = (bytes[3..<35], bytes[36..<52])
    guard !trace.allSatisfy({ $0 == UInt8(ascii: "0") }), !parent.allSatisfy({ $0 == UInt8(ascii: "0") }) else {
      return nil
    }
    traceID = String(decoding: trace, as: UTF8.self)
    parentID = String(decoding: parent, as: UTF8.self)
    spanID = RequestID.fresh().text
    isSampled = Self.value(of: bytes[54]) & 1 == 1
  }

  /// The field of the answer: the same trace, with this request's span. It is of version 00 whatever the caller's was.
  package var field: String { "00-\(traceID)-\(spanID)-\(isSampled ? "01" : "00")" }

  /// Characters of version 00.
  private static let length = 55
  private static let dashes = [2, 35, 52]
  private static let parts = [0..<2, 3..<35, 36..<52, 53..<55]

  /// A hexadecimal digit; upper-case ones are invalid.
  private static func isDigit(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"): true
    default: false
    }
  }

  private static func value(of digit: UInt8) -> UInt8 {
    digit <= UInt8(ascii: "9") ? digit - UInt8(ascii: "0") : digit - UInt8(ascii: "a") + 10
  }
}
