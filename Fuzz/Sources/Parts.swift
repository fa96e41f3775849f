/// An input with several parts, divided by the bytes FF FE, which occur in no UTF-8. Dictionaries hold the divider, so that the
/// fuzzer can add and remove parts.
struct Parts {
  private var rest: ArraySlice<UInt8>

  init(_ bytes: [UInt8]) { rest = bytes[...] }

  var isEmpty: Bool { rest.isEmpty }

  /// The next part; empty when there is none.
  mutating func next() -> [UInt8] {
    var at = rest.startIndex
    while at < rest.endIndex {
      if rest[at] == 0xFF, at + 1 < rest.endIndex, rest[at + 1] == 0xFE {
        let part = Array(rest[..<at])
        rest = rest[(at + 2)...]
        return part
      }
      at += 1
    }
    let part = Array(rest)
    rest = []
    return part
  }
}

/// Small numbers from a part of the input: splits, pauses, choices. When the bytes are used up, all are 0.
struct Choices {
  private var bytes: ArraySlice<UInt8>

  init(_ bytes: [UInt8]) { self.bytes = bytes[...] }

  var isEmpty: Bool { bytes.isEmpty }

  mutating func byte() -> Int { Int(bytes.popFirst() ?? 0) }
}

/// A copy of a span's bytes.
func array(_ span: Span<UInt8>) -> [UInt8] {
  var bytes: [UInt8] = []
  bytes.reserveCapacity(span.count)
  for index in span.indices { bytes.append(span[index]) }
  return bytes
}
