import SimilarityCore

/// The directions in which rows are longest: projected to the first ones, rows keep their products with each other as far as that
/// is possible in so few dimensions (Eckart & Young 1936). The mean is not subtracted, because it is the angles between the rows
/// themselves that count.
package struct PrincipalAxes: Sendable {
  /// [axes, dimension], orthonormal, the longest direction first.
  package let axes: Matrix

  /// - Parameters:
  ///   - rows: [n, dimension], at least one.
  ///   - weights: how much each row counts; nil for all the same.
  ///   - count: the number of axes, at most the dimension.
  package init(of rows: Matrix, weights: [Float]? = nil, count: Int) {
    let width = rows.columns
    precondition((1...width).contains(count), "\(count) axes of rows of \(width) values")
    var moments = [Double](repeating: 0, count: width * width)
    moments.withUnsafeMutableBufferPointer { moments in
      for row in 0..<rows.rows {
        rows.withRow(row) { x in
          let weight = weights.map { Double($0[row]) } ?? 1
          for i in 0..<width {
            let scaled = weight * Double(x[i])
            for j in i..<width { moments[i * width + j] += scaled * Double(x[j]) }
          }
        }
      }
      for i in 0..<width {
        for j in 0..<i { moments[i * width + j] = moments[j * width + i] }
      }
    }
    let found = Self.eigenvectors(&moments, width).prefix(count)
    axes = Matrix(count, width, found.flatMap { $0.map { Float($0) } })
  }

  /// The products of each row with the axes, [rows, axes].
  ///
  /// - Throws: `ProductFailure` when the matrix library fails.
  package func project(_ rows: Matrix) throws(ProductFailure) -> Matrix {
    guard rows.rows > 0 else { return Matrix(0, axes.rows, []) }
    let out = FloatBuffer(rows.rows * axes.rows)
    try rows.withBaseAddress { x throws(ProductFailure) in
      try axes.withBaseAddress { y throws(ProductFailure) in
        try Product.ofRows(
          x, rows: rows.rows, y, columns: axes.rows, inner: rows.columns, into: out.start, stride: axes.rows)
      }
    }
    return Matrix(rows.rows, axes.rows, Array(out[0..<out.count]))
  }

  /// The eigenvectors of a symmetric matrix without negative eigenvalues, that of the largest first (one-sided Jacobi rotations:
  /// Hestenes 1958). Pairs of rows are rotated until all are orthogonal. The rotated matrix is R·M for a rotation R, and since
  /// its rows are orthogonal, they are the eigenvectors times the eigenvalues.
  private static func eigenvectors(_ m: inout [Double], _ width: Int) -> [[Double]] {
    m.withUnsafeMutableBufferPointer { m in
      for _ in 0..<30 {
        var isDone = true
        for p in 0..<width {
          for q in p + 1..<max(width, p + 1) {
            let (a, b, c) = (dot(m, p, p, width), dot(m, q, q, width), dot(m, p, q, width))
            guard c * c > 1e-22 * a * b, a * b > 0 else { continue }
            isDone = false
            let zeta = (b - a) / (2 * c)
            let t = (zeta < 0 ? -1 : 1) / (abs(zeta) + (1 + zeta * zeta).squareRoot())
            let cosine = 1 / (1 + t * t).squareRoot()
            let sine = t * cosine
            for column in 0..<width {
              let (x, y) = (m[p * width + column], m[q * width + column])
              m[p * width + column] = cosine * x - sine * y
              m[q * width + column] = sine * x + cosine * y
            }
          }
        }
        if isDone { break }
      }
    }
    let rows = (0..<width).map { row in
      let values = Array(m[row * width..<(row + 1) * width])
      return (values: values, norm: values.reduce(0) { $0 + $1 * $1 }.squareRoot())
    }
    let largest = rows.reduce(0) { max($0, $1.norm) }
    // Rows without length, of a matrix that is not of full rank, have no direction.
    let order = rows.indices.sorted { (rows[$1].norm, $0) < (rows[$0].norm, $1) }
    return order.map { index in
      let row = rows[index]
      return row.norm > 1e-12 * largest ? row.values.map { $0 / row.norm } : [Double](repeating: 0, count: width)
    }
  }

  private static func dot(_ m: UnsafeMutableBufferPointer<Double>, _ p: Int, _ q: Int, _ width: Int) -> Double {
    guard let start = m.baseAddress else { return 0 }
    var sums = SIMD4<Double>.zero
    var column = 0
    while column + 4 <= width {
      // SAFETY: four values lie within both rows.
      let left = UnsafeRawPointer(start + p * width + column).loadUnaligned(as: SIMD4<Double>.self)
      let right = UnsafeRawPointer(start + q * width + column).loadUnaligned(as: SIMD4<Double>.self)
      sums += left * right
      column += 4
    }
    var sum = sums.sum()
    while column < width {
      sum += m[p * width + column] * m[q * width + column]
      column += 1
    }
    return sum
  }
}
