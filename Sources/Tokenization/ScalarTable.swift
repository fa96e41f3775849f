/// A value for each code point, in pages of 256 of which those with the same value throughout are stored once.
struct ScalarTable<Value: Sendable>: Sendable {
  private var pageOf = [UInt16](repeating: 0, count: UnicodeTables.codePoints >> 8)
  private var pages: [Value]
  private let common: Value

  /// Creates a table in which every code point has the value `common`.
  init(_ common: Value) {
    self.common = common
    pages = [Value](repeating: common, count: 256)
  }

  /// The value of a code point, which must be less than ``UnicodeTables/codePoints``.
  subscript(scalar: UInt32) -> Value {
    @inline(__always)
    get { pages[Int(pageOf[Int(scalar >> 8)]) << 8 | Int(scalar & 255)] }
    set {
      let page = Int(scalar >> 8)
      if pageOf[page] == 0 {
        pageOf[page] = UInt16(truncatingIfNeeded: pages.count >> 8)
        pages.append(contentsOf: repeatElement(common, count: 256))
      }
      pages[Int(pageOf[page]) << 8 | Int(scalar & 255)] = newValue
    }
  }
}

/// The scalars that some scalars become.
struct ScalarMap: Sendable {
  /// The place of the first in ``results`` × 32, and how many there are; 0 for a scalar that becomes nothing else.
  private var places = ScalarTable<UInt32>(0)
  private var results: [UInt32] = []

  /// What a scalar becomes; empty when it becomes nothing else.
  subscript(scalar: UInt32) -> ArraySlice<UInt32> {
    @inline(__always)
    get {
      let place = places[scalar]
      let start = Int(place >> 5)
      return results[start..<start + Int(place & 31)]
    }
    set {
      // The longest mapping of Unicode has 18 scalars.
      places[scalar] = UInt32(truncatingIfNeeded: results.count << 5 | newValue.count)
      results += newValue
    }
  }
}
