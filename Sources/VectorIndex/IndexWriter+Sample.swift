import SimilarityCore

extension IndexWriter {
  private static let sampleSize = 200
  private static let pools = [16, 20, 24, 32, 40, 48, 64, 80, 96, 128, 160, 192, 256, 320, 384, 512, 768, 1024]

  /// Finds the smallest pool with which stored vectors find their ten nearest others as well as the target asks.
  mutating func measure() {
    sampledCount = live.count
    let members = live.all
    let step = max(1, members.count / Self.sampleSize)
    let sample = stride(from: 0, to: members.count, by: step).prefix(Self.sampleSize).map { members[$0] }
    guard let queries = Matrix(rows: sample.count, columns: dimension, values: sample.flatMap { Array(rows.row($0)) })
    else { return }
    let snapshot = snapshot()
    var exact = SearchOptions(k: 10)
    exact.mode = .exact
    exact.excluded = sample
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
}
