import SimilarityCore

/// Rows of length 1, so that a product of two of them is their cosine.
struct UnitRows {
  let matrix: Matrix

  /// Divides each row by its Euclidean norm, in f64 and rounded once. A row of zeros stays as it is.
  init(_ rows: Matrix) { matrix = rows.unitRows() }

  var count: Int { matrix.rows }

  /// The cosines of some rows with all rows of `others`, [rows, others].
  func cosines(of part: Range<Int>, with others: UnitRows, into out: FloatBuffer) throws(ProductFailure) {
    precondition(part.lowerBound >= 0 && part.upperBound <= count, "rows \(part) of \(count)")
    precondition(out.count >= part.count * others.count, "\(out.count) values for \(part.count) × \(others.count)")
    precondition(matrix.columns == others.matrix.columns, "\(matrix.columns) and \(others.matrix.columns) columns")
    guard !part.isEmpty, others.count > 0, matrix.columns > 0 else { return }
    try matrix.withBaseAddress { left throws(ProductFailure) in
      try others.matrix.withBaseAddress { right throws(ProductFailure) in
        // SAFETY: the checks above keep the rows that are read and the values that are written within their memory.
        try Product.ofRows(
          left + part.lowerBound * matrix.columns, rows: part.count, right, columns: others.count,
          inner: matrix.columns, into: out.start, stride: others.count)
      }
    }
  }

  /// At most `most` rows, evenly spaced.
  func sample(_ most: Int) -> UnitRows {
    guard count > most else { return self }
    return UnitRows(whole: matrix.rows((0..<most).map { $0 * count / most }))
  }

  private init(whole: Matrix) { matrix = whole }
}
