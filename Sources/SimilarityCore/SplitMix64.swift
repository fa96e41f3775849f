/// A pseudorandom generator whose numbers depend on its seed alone, with every version of the program (Steele, Lea and Flood
/// 2014, "Fast splittable pseudorandom number generators").
package struct SplitMix64: Sendable {
  package var state: UInt64

  package static let step: UInt64 = 0x9E37_79B9_7F4A_7C15

  package init(state: UInt64) { self.state = state }

  package mutating func next() -> UInt64 {
    state &+= Self.step
    return Self.mixed(state)
  }

  /// Spreads what two values differ in over all bits.
  package static func mixed(_ value: UInt64) -> UInt64 {
    var bits = value
    bits = (bits ^ (bits >> 30)) &* 0xBF58_476D_1CE4_E5B9
    bits = (bits ^ (bits >> 27)) &* 0x94D0_49BB_1331_11EB
    return bits ^ (bits >> 31)
  }
}
