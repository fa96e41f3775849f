import SimilarityCore

/// Operands that are arranged or rounded before products.
extension TrainableDense {
  /// Writes the weights of one piece of outputs as a product takes them. Products with Wᵀ are faster by a quarter than those
  /// with W, which the library would rearrange for every piece of rows.
  func prepare(piece: Int, _ context: PassContext, _ operand: DenseOperand) {
    let wanted = outputs(of: piece)
    for part in weights {
      let found = wanted.clamped(to: part.first..<part.first + part.count)
      let first = context.values + part.start + (found.lowerBound - part.first) * inputs
      switch operand {
      case .transposed(let out):
        Self.transpose(first, rows: found.count, columns: inputs, into: out + found.lowerBound, stride: outputs)
      case .rounded(let rounded):
        Product.round(first, count: found.count * inputs, into: rounded.weights + found.lowerBound * inputs)
      }
    }
  }

  /// out[c·stride + r] = x[r·columns + c]. Whole cache lines are written, in squares of 4·4 values.
  private static func transpose(
    _ x: UnsafePointer<Float>, rows: Int, columns: Int, into out: UnsafeMutablePointer<Float>, stride: Int
  ) {
    let (wholeRows, wholeColumns) = (rows / 16 * 16, columns / 4 * 4)
    for row in Swift.stride(from: 0, to: wholeRows, by: 16) {
      for column in Swift.stride(from: 0, to: wholeColumns, by: 4) {
        for part in Swift.stride(from: row, to: row + 16, by: 4) {
          // SAFETY: unaligned loads and stores within the four rows and columns.
          let from = UnsafeRawPointer(x + part * columns + column)
          let a = from.loadUnaligned(as: SIMD4<Float>.self)
          let b = (from + 4 * columns).loadUnaligned(as: SIMD4<Float>.self)
          let c = (from + 8 * columns).loadUnaligned(as: SIMD4<Float>.self)
          let d = (from + 12 * columns).loadUnaligned(as: SIMD4<Float>.self)
          let to = UnsafeMutableRawPointer(out + column * stride + part)
          to.storeBytes(of: SIMD4(a.x, b.x, c.x, d.x), as: SIMD4<Float>.self)
          (to + 4 * stride).storeBytes(of: SIMD4(a.y, b.y, c.y, d.y), as: SIMD4<Float>.self)
          (to + 8 * stride).storeBytes(of: SIMD4(a.z, b.z, c.z, d.z), as: SIMD4<Float>.self)
          (to + 12 * stride).storeBytes(of: SIMD4(a.w, b.w, c.w, d.w), as: SIMD4<Float>.self)
        }
      }
    }
    for row in 0..<rows {
      for column in row < wholeRows ? wholeColumns..<columns : 0..<columns {
        out[column * stride + row] = x[row * columns + column]
      }
    }
  }

  /// Rounds what the layer takes, [part.count, inputs], where products are of bf16.
  func round(input x: UnsafePointer<Float>, _ part: Range<Int>, _ operand: DenseOperand?) {
    guard case .rounded(let rounded)? = operand else { return }
    Product.round(x, count: part.count * inputs, into: rounded.x + part.lowerBound * inputs)
  }

  /// out += left·right for rows of bf16. A last group of rows is filled up with zeros, which stand behind the rows.
  func add(
    _ left: UnsafePointer<UInt16>, inner: Int, _ right: RoundedMatrix, rows: Int, columns: Int, _ context: PassContext,
    _ scratch: TrainingWorkspace.Scratch, to out: UnsafeMutablePointer<Float>
  ) {
    let group = DenseOperand.rowsPerGroup
    let whole = (rows + group - 1) / group * group
    let target = whole == rows ? out : scratch.product
    if whole > rows { target.update(repeating: 0, count: whole * columns) }
    context.attempt { () throws(ProductFailure) in
      try Product.add(
        RoundedMatrix(left, stride: inner), right, rows: whole, columns: columns, inner: inner, to: target,
        stride: columns)
    }
    if whole > rows { context.kernels.add(target, count: rows * columns, to: out) }
  }
}
