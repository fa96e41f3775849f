import SimilarityCore

/// Exact search: codes are streamed, and every row that their error bounds cannot rule out is scored in f64.
///
/// By Cauchy–Schwarz a row's true key lies within its width of the key from codes, so no true neighbour is dropped.
struct ExactSearch {
  /// Slots of one step of a scan, after which the threshold is looked at again.
  private static let wordsPerStep = 8
  /// Queries that one pass over the records serves.
  private static let queriesPerBatch = 512

  let records: CodeRecords
  /// The slots to be searched, as bits.
  let live: [UInt64]
  let kernels: Kernels

  /// What survives a scan of `query` over words of ``live``, cut in one part for each thread.
  func survivors(of query: CodeQuery, k: Int, excluding excluded: Int?, _ loop: ParallelLoop) -> [UInt32] {
    let parts = live.count < 512 ? 1 : loop.threads
    let perPart = (live.count + parts - 1) / max(1, parts)
    let found = Results.of(parts, loop) { part in
      let range = min(part * perPart, live.count)..<min((part + 1) * perPart, live.count)
      return scan(range, query, k, excluded)
    }
    var all = Survivors(k: k)
    for part in found ?? [] { all.formUnion(part) }
    return all.finish()
  }

  private func scan(_ words: Range<Int>, _ query: CodeQuery, _ k: Int, _ excluded: Int?) -> Survivors {
    var survivors = Survivors(k: k)
    let hits = UnsafeMutablePointer<CodeHit>.allocate(capacity: 64 * Self.wordsPerStep)
    defer { hits.deallocate() }
    live.withUnsafeBufferPointer { live in
      for first in stride(from: words.lowerBound, to: words.upperBound, by: Self.wordsPerStep) {
        let step = UnsafeBufferPointer(rebasing: live[first..<min(first + Self.wordsPerStep, words.upperBound)])
        let count = records.scan(
          step, first: 64 * first, for: query, threshold: survivors.bounds.threshold, into: hits, kernels)
        for index in 0..<count where Int(hits[index].slot) != excluded { survivors.add(hits[index]) }
      }
    }
    return survivors
  }

  /// The same for many queries in passes over the records, through the matrix unit.
  ///
  /// - Returns: nil when the matrix library fails.
  func survivors(of queries: ArraySlice<CodeQuery>, k: Int, excluding excluded: ArraySlice<Int?>) -> [[UInt32]]? {
    guard let batch = CodeBatch(Array(queries), for: records) else { return nil }
    var found = queries.map { _ in Survivors(k: k) }
    var thresholds = [Float](repeating: -.infinity, count: queries.count)
    let size = CodeBatch.rowsPerTile * queries.count
    let products = UnsafeMutablePointer<Int32>.allocate(capacity: batch.productsPerTile)
    let hits = UnsafeMutablePointer<CodeHit>.allocate(capacity: size)
    defer {
      products.deallocate()
      hits.deallocate()
    }
    let excluded = Array(excluded)
    for (word, bits) in live.enumerated() where bits != 0 {
      guard
        let count = batch.hits(
          in: 64 * word, live: bits, thresholds: thresholds, products: products, into: hits, kernels)
      else { return nil }
      for index in 0..<count {
        let hit = hits[index]
        let query = Int(hit.query)
        guard excluded.isEmpty || excluded[query] != Int(hit.slot) else { continue }
        found[query].add(hit)
        thresholds[query] = found[query].bounds.threshold
      }
    }
    return found.indices.map { found[$0].finish() }
  }

  static func batches(of count: Int, threads: Int) -> [Range<Int>] {
    let size = max(1, min(queriesPerBatch, (count + threads - 1) / threads))
    return stride(from: 0, to: count, by: size).map { $0..<min($0 + size, count) }
  }
}
