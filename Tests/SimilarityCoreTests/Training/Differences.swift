/// The largest |found − expected|; infinite where one is not a number.
func largestDifference(_ found: ArraySlice<Float>, _ expected: [Double]) -> Double {
  guard found.count == expected.count else { return .infinity }
  return zip(found, expected).reduce(0) { worst, pair in
    let difference = abs(Double(pair.0) - pair.1)
    return difference.isFinite ? max(worst, difference) : .infinity
  }
}

/// The derivatives of `function` at `x` by central differences, with an error of about 1e-10 where third derivatives are of the
/// size 1.
func finiteDifferences(_ x: [Double], _ function: ([Double]) -> Double) -> [Double] {
  let step = 1e-5
  return x.indices.map { index in
    var (up, down) = (x, x)
    up[index] += step
    down[index] -= step
    return (function(up) - function(down)) / (2 * step)
  }
}
