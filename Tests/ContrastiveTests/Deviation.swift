/// How far results are from what they should be, in units of what is allowed; 1 is the limit.
struct Deviation: CustomStringConvertible {
  private(set) var worst = 0.0
  private(set) var place = "nothing compared"
  let tolerance: Double

  /// 1e-5 + 1e-6/τ, relative above 1, absolute below.
  init(temperature: Float) {
    tolerance = 1e-5 + 1e-6 / Double(temperature)
  }

  mutating func compare(_ found: Double, _ wanted: Double, _ name: @autoclosure () -> String) {
    let ratio = abs(found - wanted) / (tolerance * max(1, abs(wanted)))
    // Written so that NaN is a miss.
    guard !(ratio <= worst) || place == "nothing compared" else { return }
    worst = ratio.isNaN ? .infinity : ratio
    place = "\(name()): \(found), wanted \(wanted)"
  }

  var description: String { "\(worst) of what is allowed at \(place)" }
}
