import SimilarityCore

/// Exact search for many queries in one pass over the records, by products of matrices.
struct BatchScan {
  /// The number of queries in one pass.
  private static let queriesPerPass = 512
  /// Before a pass, rows of some cells near a query give a lower bound of its k-th best key: how many cells, and how many rows.
  private static let nearestCells = 8
  private static let fewestRows = 64
  private static let rowsPerResult = 2

  private let records: CodeRecords
  private let kernels: Kernels
  /// The slots to be searched, cell by cell: those of cell c are slots[starts[c]] ..< slots[starts[c + 1]].
  private let slots: [UInt32]
  private let starts: [Int]

  init(_ allowed: SlotSet, records: CodeRecords, kernels: Kernels) {
    (self.records, self.kernels) = (records, kernels)
    var starts = [Int](repeating: 0, count: records.coarse.count + 1)
    let all = allowed.all
    for slot in all { starts[records.cell(of: slot) + 1] += 1 }
    for cell in 1..<starts.count { starts[cell] += starts[cell - 1] }
    var next = starts
    var slots = [UInt32](repeating: 0, count: all.count)
    for slot in all {
      let cell = records.cell(of: slot)
      slots[next[cell]] = UInt32(truncatingIfNeeded: slot)
      next[cell] += 1
    }
    (self.slots, self.starts) = (slots, starts)
  }

  /// The slots that a pass could not rule out, for each query.
  ///
  /// - Throws: ``ProductFailure`` when the matrix library fails.
  // SAFETY: the buffers have room for a whole tile of hits, and slices lie inside the slots.
  func survivors(of queries: [CodeQuery], k: Int, excluding excluded: [Int?]) throws(ProductFailure) -> [[UInt32]] {
    let batch = try CodeBatch(queries, for: records)
    // Cells are read in an order that suits no query: without a lower bound, every row met before the near ones would be kept.
    var thresholds = queries.indices.map { index in
      floor(of: queries[index], k: k, excluding: excluded.isEmpty ? nil : excluded[index])
    }
    var found = thresholds.map { Survivors(k: k, floor: $0) }
    let scratch = CodeBatch.Scratch(for: batch)
    let hits = UnsafeMutablePointer<CodeHit>.allocate(capacity: CodeBatch.rowsPerTile * queries.count)
    defer { hits.deallocate() }
    try slots.withUnsafeBufferPointer { slots throws(ProductFailure) in
      for cell in 0..<starts.count - 1 {
        for first in stride(from: starts[cell], to: starts[cell + 1], by: CodeBatch.rowsPerTile) {
          let tile = UnsafeBufferPointer(
            rebasing: slots[first..<min(first + CodeBatch.rowsPerTile, starts[cell + 1])])
          let count = try batch.hits(of: tile, in: cell, thresholds: thresholds, scratch, into: hits, kernels)
          for index in 0..<count {
            let hit = hits[index]
            let query = Int(hit.query)
            guard excluded.isEmpty || excluded[query] != Int(hit.slot) else { continue }
            found[query].add(hit)
            thresholds[query] = found[query].threshold
          }
        }
      }
    }
    return found.indices.map { found[$0].finish() }
  }

  /// A lower bound of the k-th best key, from rows of the cells nearest to `query`; −∞ when there are too few of them.
  // SAFETY: there is room for as many cells and rows as are asked for.
  private func floor(of query: CodeQuery, k: Int, excluding excluded: Int?) -> Float {
    let wanted = min(slots.count, k * Self.rowsPerResult + Self.fewestRows)
    return withUnsafeTemporaryAllocation(of: UInt32.self, capacity: Self.nearestCells) { cells in
      withUnsafeTemporaryAllocation(of: CodeHit.self, capacity: wanted) { hits in
        slots.withUnsafeBufferPointer { slots in
          guard let first = cells.baseAddress, let out = hits.baseAddress, let all = slots.baseAddress else {
            return -.infinity
          }
          var best = LowerBounds(k)
          var read = 0
          for cell in cells[..<query.nearestCells(Self.nearestCells, includingFar: true, into: first, kernels)] {
            let start = starts[Int(cell)]
            let count = min(starts[Int(cell) + 1] - start, wanted - read)
            read += count
            let found = records.bound(
              all + start, count: count, for: query, threshold: best.threshold, into: out, kernels)
            for hit in hits[..<found] where excluded != Int(hit.slot) { best.insert(hit.key - hit.width) }
          }
          return best.threshold
        }
      }
    }
  }

  static func passes(of count: Int, threads: Int) -> [Range<Int>] {
    let size = max(1, min(queriesPerPass, (count + threads - 1) / threads))
    return stride(from: 0, to: count, by: size).map { $0..<min($0 + size, count) }
  }
}
