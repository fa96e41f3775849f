import CKernels

/// A query rounded to bytes.
// SAFETY: the buffer is written in the initialiser only.
public final class CodeQuery: @unchecked Sendable {
  let codes: UnsafeMutablePointer<Int8>
  let raw: nf_code_query

  /// - Parameters:
  ///   - query: as many values as the records have dimensions.
  ///   - norm: ‖query‖.
  public init(_ query: UnsafeBufferPointer<Float>, norm: Double, for records: CodeRecords, _ kernels: Kernels) {
    let padded = records.padded
    let codes = UnsafeMutablePointer<Int8>.allocate(capacity: padded)
    codes.initialize(repeating: 0, count: padded)
    self.codes = codes
    // The cosine is of the query's direction; elsewhere its length scales the step back.
    let length = records.metric == .cosine ? 1 : norm
    guard norm > 0, (1e-15...1e15).contains(norm) || records.metric == .cosine else {
      // Too long or too short for f32: every bound is infinite, and nothing is ruled out.
      let width: Float = norm > 0 ? .infinity : 0
      raw = nf_code_query(codes: codes, step: 0, bias: 0, norm: width, error: width)
      return
    }
    let (step, rounding) = withUnsafeTemporaryAllocation(of: Float.self, capacity: query.count) { unit in
      for index in query.indices { unit[index] = Float(Double(query[index]) / norm) }
      records.rotation.apply(unit, kernels)
      let step = unit.reduce(0) { max($0, abs($1)) } / 127
      guard let x = unit.baseAddress else { return (Float(0), Float(0)) }
      return (step, kernels.table.pointee.code_quantize(x, query.count, step, codes))
    }
    raw = nf_code_query(
      codes: codes, step: step * Float(length), bias: Self.bias(codes, padded), norm: Float(length * 1.0001),
      error: Float((Double(rounding) + Rotation.rounding) * length * 1.0001))
  }

  deinit { codes.deallocate() }

  /// 128·Σ, which the stored codes' offset adds to every product.
  private static func bias(_ codes: UnsafePointer<Int8>, _ count: Int) -> Int32 {
    var sum: Int32 = 0
    for index in 0..<count { sum += Int32(codes[index]) }
    return 128 * sum
  }
}
