/// The fields of metadata as byte strings, by which a database answers filters exactly as ``MetadataIndex`` does.
///
/// A field with one of its values is one string: the length of the field's path in two bytes, the path, a byte for the kind of the
/// value, and the value so that strings of one field and kind stand in the order of the values. So a condition on a field is
/// whether a point has one of some strings, or one between two others, and databases compare bytes as `memcmp` does. JSON types
/// of databases would not do: they round numbers or refuse them, and have no zero byte.
package enum StoredFields {
  private enum Kind: UInt8 {
    /// The field is there, whatever its value.
    case present = 1
    case null, no, yes, number, string
    /// Behind every string.
    case end
  }

  /// The strings of a point, each once, in order.
  package static func strings(of metadata: [UInt8]?) -> [[UInt8]] {
    var found: Set<[UInt8]> = []
    MetadataFields.forEach(in: metadata) { field, value in
      found.insert(string(field.string, .present))
      if let value { found.insert(string(field.string, value)) }
    }
    return found.sorted { $0.lexicographicallyPrecedes($1) }
  }

  /// The string of every point that has the field.
  package static func presence(of field: String) -> [UInt8] { string(field, Kind.present) }

  /// The string of every point that has the field with this value.
  package static func string(_ field: String, _ value: FilterValue) -> [UInt8] {
    switch value {
    case .null: string(field, Kind.null)
    case .bool(let flag): string(field, flag ? Kind.yes : Kind.no)
    case .number(let number): string(field, Kind.number) + number.orderedBytes
    case .string(let text): string(field, Kind.string) + Array(text.utf8)
    }
  }

  /// Strings from `from` on, itself among them, and before `to`.
  package struct Range: Sendable {
    package let from: [UInt8]
    package let to: [UInt8]
  }

  /// The strings of values in this order to the operand; nil for an operand that has no order.
  package static func range(_ field: String, _ order: FilterOrder, _ operand: FilterValue) -> Range? {
    let (kind, next): (Kind, Kind)
    switch operand {
    case .number: (kind, next) = (.number, .string)
    case .string: (kind, next) = (.string, .end)
    case .null, .bool: return nil
    }
    let place = string(field, operand)
    // Nothing stands between a string and the same with a zero byte behind it.
    let behind = place + [0]
    return switch order {
    case .below: Range(from: string(field, kind), to: place)
    case .atMost: Range(from: string(field, kind), to: behind)
    case .above: Range(from: behind, to: string(field, next))
    case .atLeast: Range(from: place, to: string(field, next))
    }
  }

  /// 64 bits of a string, by which an index finds the points that may have it.
  package static func term(_ string: [UInt8]) -> Int64 {
    var sum = Checksum(13)
    sum.add(string)
    return sum.value
  }

  private static func string(_ field: String, _ kind: Kind) -> [UInt8] {
    // Paths have at most 512 bytes.
    let count = UInt16(truncatingIfNeeded: field.utf8.count)
    return [UInt8(truncatingIfNeeded: count >> 8), UInt8(truncatingIfNeeded: count)] + Array(field.utf8)
      + [kind.rawValue]
  }
}
