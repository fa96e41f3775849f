extension [Float] {
  /// No value is infinite or NaN.
  var isFinite: Bool {
    // The largest magnitude as bits: a loop without a branch, which the compiler turns into vector code; the order of
    // magnitudes is that of their bits, and above the largest finite one stand infinity and the NaNs.
    withUnsafeBufferPointer { values in
      var largest: UInt32 = 0
      for value in values { largest = Swift.max(largest, value.bitPattern & 0x7FFF_FFFF) }
      return largest < 0x7F80_0000
    }
  }
}
