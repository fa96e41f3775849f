import Platform

/// The angles of rotary positions (Su et al. 2021, arXiv 2104.09864) for every position and pair of values of a head.
struct RotaryTable: Sendable {
  /// The number of pairs.
  let half: Int
  /// [positions, half].
  let cosines: [Float]
  let sines: [Float]

  /// The angles are computed in f32, as in the original code, so that they are equally far from the exact ones.
  init(_ rotary: TransformerDescription.Rotary, headWidth: Int, positions: Int) {
    let half = headWidth / 2
    let frequencies = (0..<half).map { pair in
      1 / pow(Float(rotary.base), Float(2 * pair) / Float(headWidth)) / Float(rotary.factor)
    }
    var cosines: [Float] = []
    var sines: [Float] = []
    cosines.reserveCapacity(positions * half)
    sines.reserveCapacity(positions * half)
    for position in 0..<positions {
      for frequency in frequencies {
        let angle = Double(Float(position) * frequency)
        cosines.append(Float(cos(angle)))
        sines.append(Float(sin(angle)))
      }
    }
    self.half = half
    self.cosines = cosines
    self.sines = sines
  }
}
