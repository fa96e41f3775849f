import Platform
import SimilarityCore

extension Scoring {
  /// Rows that uniformity looks at, at most.
  private static var mostUniformityRows: Int { 2048 }

  /// log mean_{i<j} exp(−2‖xᵢ − xⱼ‖²) over at most 2,048 evenly spaced rows (Wang & Isola 2020, arXiv 2005.10242, with
  /// t = 2); nil for a single row.
  ///
  /// −2‖x − y‖² = 4·x·y − 2‖x‖² − 2‖y‖², so the sum is a log-sum-exp over products, tile by tile.
  func uniformity(_ rows: ScaledRows) throws -> Double? {
    let sample = try Self.sample(rows)
    let count = sample.rows
    guard count > 1 else { return nil }
    let isUnit = rows.factors != nil
    let halfSquares = sample.norms(kernels: kernels).map { Float($0 * $0 / 2) }
    let blockRows = 128
    var sums = [LogSumExp](repeating: LogSumExp(), count: count)
    try sums.withUnsafeMutableBufferPointer { sums in
      try sample.values.withUnsafeBufferPointer { values in
        guard let start = values.baseAddress else { return }
        try loop.forEach((count + blockRows - 1) / blockRows) { block in
          let top = block * blockRows
          let height = min(blockRows, count - top)
          // Only pairs i < j: columns from this block on.
          for left in stride(from: top, to: count, by: CandidateRows.columnsPerTile) {
            let width = min(CandidateRows.columnsPerTile, count - left)
            let products = FloatBuffer(height * width)
            // SAFETY: both stretches lie in the sample.
            guard
              Product.ofRows(
                start + top * sample.columns, rows: height, start + left * sample.columns, columns: width,
                inner: sample.columns, into: products.start, stride: width)
            else { return false }
            for index in 0..<height {
              let first = max(0, top + index + 1 - left)
              guard first < width else { continue }
              let part = products[index * width + first..<(index + 1) * width]
              // Of unit rows every square is 1: −2‖x − y‖² = 4·x·y − 4.
              if !isUnit {
                for offset in part.indices {
                  part[offset] -= halfSquares[left + first + offset] + halfSquares[top + index]
                }
              }
              sums[top + index].extend(
                by: UnsafeBufferPointer(part), scale: 4, columns: 0..<part.count, of: nil, kernels)
            }
          }
          return true
        }
      }
    }
    let logs = sums.dropLast().map { $0.value - (isUnit ? 4 : 0) }
    let largest = logs.max() ?? 0
    let total = logs.reduce(0) { $0 + exp($1 - largest) }
    return largest + log(total) - log(Double(count) * Double(count - 1) / 2)
  }

  /// Evenly spaced rows, after normalisation.
  private static func sample(_ rows: ScaledRows) throws -> Matrix {
    let count = min(rows.count, mostUniformityRows)
    var values: [Float] = []
    values.reserveCapacity(count * rows.matrix.columns)
    for index in 0..<count {
      let row = count == rows.count ? index : index * (rows.count - 1) / (count - 1)
      let factor = rows.factor(row)
      for value in rows.matrix.row(row) { values.append(value * factor) }
    }
    guard let matrix = Matrix(rows: count, columns: rows.matrix.columns, values: values) else { throw ProductFailure() }
    return matrix
  }
}
