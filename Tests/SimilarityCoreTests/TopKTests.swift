import SimilarityCore
import TestSupport
import Testing

@Suite struct TopKTests {
  private static func precedes(_ a: Candidate, _ b: Candidate) -> Bool {
    a.score != b.score ? a.score > b.score : a.position < b.position
  }

  /// Many equal scores: the order of arrival must not show.
  @Test(arguments: [0, 1, 3, 10, 200, 500]) func equalsTheHeadOfASort(_ k: Int) {
    var random = Seeded(7)
    var all = (0..<200).map { Candidate(position: $0, score: Double(Int.random(in: 0..<20, using: &random))) }
    let expected = Array(all.sorted(by: Self.precedes).prefix(k))
    for _ in 0..<5 {
      all.shuffle(using: &random)
      var best = TopK(capacity: k, precedes: Self.precedes)
      for candidate in all { best.insert(candidate) }
      #expect(best.sorted() == expected)
    }
  }
}
