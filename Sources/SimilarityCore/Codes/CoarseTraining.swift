import CKernels

extension CoarseQuantizer {
  /// The number of rows in the sample for each centroid, when there are the fewest centroids.
  private static let rowsPerCentroid = 64
  /// The most centroids. Records could name more, in 16 bits, but each query is compared with all of them.
  private static let mostCentroids = 1024
  /// The number of rounds of Lloyd's algorithm.
  private static let rounds = 3

  /// The number of centroids for `rows` rows without clusters. It is small, because each query is compared with all
  /// centroids.
  private static func fewest(forRows rows: Int) -> Int {
    rows < 256 ? 1 : min(mostCentroids, max(4, Int(Double(rows).squareRoot() / 4)))
  }

  /// Chooses centroids by k-means (Lloyd 1982), with seeds by k-means++ (Arthur & Vassilvitskii 2007), over an evenly
  /// spaced sample of the rows.
  ///
  /// - Parameters:
  ///   - rows: the number of rows.
  ///   - read: returns the row with a number below `rows`, and its norm.
  /// - Throws: ``ProductFailure`` when the matrix library fails.
  public static func trained(
    rows: Int, rotation: Rotation, metric: CodeMetric, _ loop: ParallelLoop, _ kernels: Kernels,
    read: (Int) -> (row: UnsafeBufferPointer<Float>, norm: Double)
  ) throws(ProductFailure) -> CoarseQuantizer {
    let wanted = fewest(forRows: rows)
    let size = min(rows, max(1024, rowsPerCentroid * wanted))
    // Sums of squares of other rows are out of the range of f32, so these rows are left out of the sample.
    let sample = (0..<size).map { $0 * rows / size }.filter { resolves(norm: read($0).norm) }
    guard !sample.isEmpty else {
      return CoarseQuantizer(dimension: rotation.dimension, metric: metric, rotation: rotation)
    }
    var sums = [Double](repeating: 0, count: rotation.dimension)
    for index in sample {
      let (row, norm) = read(index)
      let scale = metric == .cosine && norm > 0 ? 1 / norm : 1
      for column in sums.indices { sums[column] += Double(row[column]) * scale }
    }
    let mean = sums.map { Float($0 / Double(sample.count)) }
    let stride = stride(rotation.dimension)
    let centred = CoarseQuantizer(
      rotation: rotation, metric: metric, mean: mean, centroids: [Float](repeating: 0, count: stride))
    let placed = Matrix(rows: sample.count, columns: stride) { values in
      for (place, index) in sample.enumerated() {
        let (row, norm) = read(index)
        let target = UnsafeMutableBufferPointer(rebasing: values[place * stride..<(place + 1) * stride])
        _ = centred.place(row, norm: norm, subtractingMean: true, into: target, kernels)
      }
    }
    var clustering = Clustering(rows: placed, kernels: kernels, loop: loop)
    // Up to eight times as many centroids are used where that is worthwhile, since each cluster of the data should have
    // its own.
    clustering.seed(wanted, most: min(mostCentroids, 8 * wanted, sample.count / 3))
    for _ in 0..<(wanted > 1 ? rounds : 1) {
      try clustering.improve()
    }
    return CoarseQuantizer(
      rotation: rotation, metric: metric, mean: mean, centroids: clustering.centroids)
  }
}

/// k-means over the rows of a matrix, with the same result on every run.
private struct Clustering {
  let rows: Matrix
  let kernels: Kernels
  let loop: ParallelLoop
  var centroids: [Float] = []
  private var random = SplitMix64(state: 0x636F_6172_7365_2121)

  init(rows: Matrix, kernels: Kernels, loop: ParallelLoop) {
    self.rows = rows
    self.kernels = kernels
    self.loop = loop
  }

  private var stride: Int { rows.columns }

  /// A random number in 0 ..< 1.
  private mutating func next() -> Double { Double(random.next() >> 11) * 0x1p-53 }

  /// Doubling the number of seeds is worthwhile when it reduces the mean squared distance by at least this share.
  private static let worthwhile = 0.2

  /// Chooses seeds. The probability of a row is proportional to its squared distance from the nearest seed so far.
  ///
  /// - Parameters:
  ///   - fewest: the least number of seeds.
  ///   - most: the largest number, which is chosen only if it brings the seeds much nearer to the rows.
  mutating func seed(_ fewest: Int, most: Int) {
    centroids = Array(rows.row(Int(next() * Double(rows.rows))))
    var nearest = [Float](repeating: .infinity, count: rows.rows)
    // The next number of seeds to be judged, and the best so far with its mean squared distance.
    var look = fewest
    var best = (count: fewest, mean: Double.infinity)
    while true {
      let seed = Array(centroids.suffix(stride))
      let distances = squares(from: seed)
      var total = 0.0
      for row in nearest.indices {
        nearest[row] = min(nearest[row], distances[row])
        total += Double(nearest[row])
      }
      if centroids.count == look * stride {
        // The seeds themselves, which are at distance 0, do not count.
        let mean = total / Double(max(1, rows.rows - look))
        var asked = best.mean
        var count = best.count
        while count < look { (asked, count) = (asked * (1 - Self.worthwhile), 2 * count) }
        if mean < asked { best = (look, mean) }
        guard look > 1, 2 * look <= most else { break }
        look *= 2
      }
      // All rows are at distance 0: there are fewer different rows than seeds.
      guard total > 0 else { break }
      var left = next() * total
      var chosen = nearest.count - 1
      for row in nearest.indices {
        left -= Double(nearest[row])
        if left < 0 {
          chosen = row
          break
        }
      }
      centroids += rows.row(chosen)
    }
    if centroids.count > best.count * stride { centroids.removeLast(centroids.count - best.count * stride) }
  }

  /// The squared distance of each row from `seed`.
  // SAFETY: the rows are as long as the seed, and there is room for one value per row.
  private func squares(from seed: [Float]) -> [Float] {
    [Float](unsafeUninitializedCapacity: rows.rows) { squares, count in
      count = rows.rows
      guard let out = squares.baseAddress else { return }
      rows.values.withUnsafeBufferPointer { values in
        kernels.table.pointee.code_cells(values.baseAddress, rows.rows, stride, seed, nil, out)
      }
    }
  }

  /// One round of Lloyd's algorithm: assigns every row to its nearest centroid, and moves every centroid to the mean of
  /// its rows.
  ///
  /// - Throws: ``ProductFailure`` when the matrix library fails.
  mutating func improve() throws(ProductFailure) {
    let count = centroids.count / stride
    let lengths = (0..<count).map { cell in
      centroids[cell * stride..<(cell + 1) * stride].reduce(Float(0)) { $0 + $1 * $1 }
    }
    let perPiece = 256
    let pieces = (rows.rows + perPiece - 1) / perPiece
    var cells = [Int](repeating: 0, count: rows.rows)
    try cells.withUnsafeMutableBufferPointer { cells throws(ProductFailure) in
      // SAFETY: each piece writes to the cells of its own rows.
      nonisolated(unsafe) let cells = cells
      try loop.forEachPiece(pieces) { piece throws(ProductFailure) in
        try assign(piece * perPiece..<min((piece + 1) * perPiece, rows.rows), lengths, cells)
      }
    }
    var sums = [Double](repeating: 0, count: centroids.count)
    var sizes = [Int](repeating: 0, count: count)
    for row in 0..<rows.rows {
      sizes[cells[row]] += 1
      let (source, target) = (row * stride, cells[row] * stride)
      for column in 0..<stride { sums[target + column] += Double(rows.values[source + column]) }
    }
    for cell in 0..<count where sizes[cell] > 0 {
      for column in 0..<stride {
        centroids[cell * stride + column] = Float(sums[cell * stride + column] / Double(sizes[cell]))
      }
    }
  }

  /// Writes the nearest centroid of each row of `range` to `cells`. `lengths` has the squared norms of the centroids.
  // SAFETY: the range lies inside the rows, and the products of its rows with every centroid fit in the scratch.
  private func assign(
    _ range: Range<Int>, _ lengths: [Float], _ cells: UnsafeMutableBufferPointer<Int>
  ) throws(ProductFailure) {
    let count = lengths.count
    let products = FloatBuffer(range.count * count)
    defer { withExtendedLifetime(products) {} }
    try rows.values.withUnsafeBufferPointer { rows throws(ProductFailure) in
      guard let first = rows.baseAddress else { return }
      try Product.ofRows(
        first + range.lowerBound * stride, rows: range.count, centroids, columns: count, inner: stride,
        into: products.start, stride: count)
    }
    for row in range {
      let start = (row - range.lowerBound) * count
      var best = 0
      var least = Float.infinity
      for cell in 0..<count {
        let square = lengths[cell] - 2 * products.start[start + cell]
        if square < least { (best, least) = (cell, square) }
      }
      cells[row] = best
    }
  }
}
