import CKernels

/// A query rounded to bytes: once coarsely, and what that left once more.
// SAFETY: the buffer is written in the initialiser only.
public final class CodeQuery: @unchecked Sendable {
  let codes: UnsafeMutablePointer<Int8>
  let padded: Int
  let raw: nf_code_query
  /// The query and its errors without the second rounding.
  let coarse: nf_code_query

  /// - Parameters:
  ///   - query: as many values as the records have dimensions.
  ///   - norm: ‖query‖.
  public init(_ query: UnsafeBufferPointer<Float>, norm: Double, for records: CodeRecords, _ kernels: Kernels) {
    padded = records.padded
    let codes = UnsafeMutablePointer<Int8>.allocate(capacity: 2 * padded)
    codes.initialize(repeating: 0, count: 2 * padded)
    self.codes = codes
    let second = codes + padded
    // The cosine is of the query's direction; elsewhere its length scales the steps back.
    let length = records.metric == .cosine ? 1 : norm
    guard norm > 0, (1e-15...1e15).contains(norm) || records.metric == .cosine else {
      // Too long or too short for f32: every bound is infinite, and nothing is ruled out.
      let width: Float = norm > 0 ? .infinity : 0
      raw = nf_code_query(
        high: codes, low: nil, high_step: 0, low_step: 0, high_bias: 0, low_bias: 0, norm: width, error: width)
      coarse = raw
      return
    }
    var unit = query.map { Float(Double($0) / norm) }
    let (highStep, lowStep, highError, lowError) = unit.withUnsafeMutableBufferPointer { unit in
      records.rotation.apply(unit, kernels)
      let highStep = Self.step(unit)
      let highError = Self.quantize(unit, step: highStep, into: codes, kernels)
      for index in unit.indices { unit[index] -= highStep * Float(codes[index]) }
      let lowStep = Self.step(unit)
      let lowError = Self.quantize(unit, step: lowStep, into: second, kernels)
      return (highStep, lowStep, highError, lowError)
    }
    let highBias = Self.bias(codes, padded)
    let lowBias = Self.bias(second, padded)
    func error(_ rounding: Float) -> Float { Float((Double(rounding) + Rotation.rounding) * length * 1.0001) }
    raw = nf_code_query(
      high: codes, low: second, high_step: highStep * Float(length), low_step: lowStep * Float(length),
      high_bias: highBias, low_bias: lowBias, norm: Float(length * 1.0001), error: error(lowError))
    coarse = nf_code_query(
      high: codes, low: nil, high_step: highStep * Float(length), low_step: 0, high_bias: highBias, low_bias: 0,
      norm: Float(length * 1.0001), error: error(highError))
  }

  deinit { codes.deallocate() }

  private static func step(_ values: UnsafeMutableBufferPointer<Float>) -> Float {
    values.reduce(0) { max($0, abs($1)) } / 127
  }

  // SAFETY: `out` has room for the values; signed and unsigned bytes have one layout.
  private static func quantize(
    _ values: UnsafeMutableBufferPointer<Float>, step: Float, into out: UnsafeMutablePointer<Int8>, _ kernels: Kernels
  ) -> Float {
    guard let x = values.baseAddress else { return 0 }
    return UnsafeMutableRawPointer(out).withMemoryRebound(to: UInt8.self, capacity: values.count) {
      kernels.table.pointee.code_quantize(x, values.count, step, 0, $0)
    }
  }

  /// 128·Σ, which the stored codes' offset adds to every product.
  static func bias(_ codes: UnsafePointer<Int8>, _ count: Int) -> Int32 {
    var sum: Int32 = 0
    for index in 0..<count { sum += Int32(codes[index]) }
    return 128 * sum
  }
}
