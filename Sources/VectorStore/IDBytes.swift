/// Ids are compared by the bytes of their UTF-8, as SQLite does and whatever the locale. Swift's own `==` would take two
/// ids for one when they are canonically equivalent.
enum IDBytes {
  /// `true` when `a` stands before `b`.
  static func precedes(_ a: String, _ b: String) -> Bool { compare(a, b) < 0 }

  /// Negative, 0 or positive as `a` stands before, at or after `b`.
  static func compare(_ a: String, _ b: String) -> Int {
    let fast = a.utf8.withContiguousStorageIfAvailable { a in
      b.utf8.withContiguousStorageIfAvailable { b in compare(a, b) }
    }
    if let fast, let fast { return fast }
    if a.utf8.elementsEqual(b.utf8) { return 0 }
    return a.utf8.lexicographicallyPrecedes(b.utf8) ? -1 : 1
  }

  private static func compare(_ a: UnsafeBufferPointer<UInt8>, _ b: UnsafeBufferPointer<UInt8>) -> Int {
    let shared = min(a.count, b.count)
    for index in 0..<shared where a[index] != b[index] { return Int(a[index]) - Int(b[index]) }
    return a.count - b.count
  }

  /// The first row whose id stands in an earlier row too; nil when there is none.
  static func firstRepeated(_ count: Int, id: (Int) -> String) -> Int? {
    let rows = (0..<count).sorted { a, b in
      let order = compare(id(a), id(b))
      return order != 0 ? order < 0 : a < b
    }
    var first: Int?
    for (before, row) in zip(rows, rows.dropFirst()) where compare(id(before), id(row)) == 0 {
      first = min(first ?? row, row)
    }
    return first
  }
}
