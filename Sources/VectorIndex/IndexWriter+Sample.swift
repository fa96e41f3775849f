import SimilarityCore

extension IndexWriter {
  private static let sampleSize = 200
  private static let pools = [16, 20, 24, 32, 40, 48, 64, 80, 96, 128, 160, 192, 256, 320, 384, 512, 768, 1024]

  /// How much of a second row a sample query has beside the first.
  private static let mixture: Float = 0.5

  /// Finds the smallest pool with which a sample of queries finds its ten nearest as well as the target asks.
  ///
  /// Stored rows would flatter: a walk that comes near one finds its neighbours in its own list. Each query is a mixture of
  /// two stored rows, which lies where rows may be, but on none of them.
  mutating func measure() {
    sampledCount = live.count
    let members = live.all
    let step = max(1, members.count / Self.sampleSize)
    let sample = stride(from: 0, to: members.count, by: step).prefix(Self.sampleSize).map { members[$0] }
    guard let queries = Matrix(rows: sample.count, columns: dimension, values: mixtures(sample)) else { return }
    let snapshot = snapshot()
    var exact = SearchOptions(k: 10)
    exact.mode = .exact
    exact.loop = loop
    guard let truth = try? snapshot.nearest(to: queries, exact, tiePrecedes: <) else { return }
    for pool in Self.pools {
      var walk = exact
      walk.mode = .graph(ef: pool)
      guard let found = try? snapshot.nearest(to: queries, walk, tiePrecedes: <) else { return }
      var hits = 0
      var wanted = 0
      for (near, true10) in zip(found.neighbors, truth.neighbors) {
        let expected = Set(true10.map(\.position))
        wanted += expected.count
        hits += near.reduce(0) { $0 + (expected.contains($1.position) ? 1 : 0) }
      }
      (ef, sampledRecall) = (pool, Double(hits) / Double(max(1, wanted)))
      if (sampledRecall ?? 0) >= options.recallTarget { return }
    }
  }

  private func mixtures(_ sample: [Int]) -> [Float] {
    var values: [Float] = []
    values.reserveCapacity(sample.count * dimension)
    for (index, slot) in sample.enumerated() {
      let first = rows.row(slot)
      let second = rows.row(sample[(index + sample.count / 2) % sample.count])
      // Directions count under the cosine, and only they.
      let scale =
        metric == .cosine ? Float(rows.norm(slot) / rows.norm(sample[(index + sample.count / 2) % sample.count])) : 1
      for (a, b) in zip(first, second) {
        values.append(
          metric == .cosine ? a + Self.mixture * scale * b : a * (1 - Self.mixture / 2) + Self.mixture / 2 * b)
      }
    }
    return values
  }
}
