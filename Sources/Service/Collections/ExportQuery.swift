import HTTP1
import VectorStore

/// What `GET /collections/{name}/export` is asked for.
struct ExportQuery {
  /// The points behind this id.
  var after: String?
  /// At most so many points; nil for all.
  var limit: Int?
  /// At most so many points in one answer, and no more than fit; nil wants all in one.
  var part: Int?
  /// The version that the answers before were of.
  var snapshot: String?

  init(_ head: RequestHead) throws(Problem) {
    for (name, value) in head.queryItems {
      switch name {
      case "after": after = value
      case "limit": limit = try Self.count(name, value)
      case "part": part = try Self.count(name, value)
      case "snapshot": snapshot = value
      default: throw Problem.invalid(name, "unknown query parameter '\(name)'")
      }
    }
  }

  private static func count(_ name: String, _ value: String) throws(Problem) -> Int {
    guard let number = Int(decimal: value), number > 0 else {
      throw Problem.invalid(name, "must be a whole number from 1 on")
    }
    return number
  }

  /// Where the rest is, behind `taken` points of which `last` was the last one: a reference to be resolved against this
  /// request's URL, whatever prefix a proxy has put there, as the value of a Link field (RFC 8288).
  func link(after last: String, taken: Int, snapshot: String) -> String {
    var items = ["after=\(Self.encoded(last))"]
    if let limit { items.append("limit=\(limit - taken)") }
    if let part { items.append("part=\(part)") }
    items.append("snapshot=\(snapshot)")
    return "<?\(items.joined(separator: "&"))>; rel=\"next\""
  }

  /// All but unreserved characters percent-encoded (RFC 3986, 2.3).
  private static func encoded(_ text: String) -> String {
    var out: [UInt8] = []
    let digits = Array("0123456789ABCDEF".utf8)
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
        UInt8(ascii: "~"):
        out.append(byte)
      default: out += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
      }
    }
    return String(decoding: out, as: UTF8.self)
  }
}
