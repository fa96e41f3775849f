import SimilarityCore
import TestSupport
import Testing
import VectorIndex

@Suite struct ExactIndexTests {
  /// Random writes on the index and on a plain list: the same answers, bit for bit.
  @Test func equalsBruteForceAfterManyWrites() throws {
    var random = Seeded(21)
    let width = 24
    var index = ExactIndex(dimension: width)
    var model: [[Float]] = []
    for step in 0..<4000 {
      let vector = random.floats(width)
      switch Int.random(in: 0..<10, using: &random) {
      case 0 where !model.isEmpty:
        let position = Int.random(in: 0..<model.count, using: &random)
        index.remove(at: position)
        model[position] = model[model.count - 1]
        model.removeLast()
      case 1 where !model.isEmpty:
        let position = Int.random(in: 0..<model.count, using: &random)
        try index.replace(at: position, with: vector[...])
        model[position] = vector
      default:
        try index.append(vector[...])
        model.append(vector)
      }
      if step % 500 == 499 { try compare(index, model, query: random.floats(width)) }
    }
    #expect(index.count == model.count)
    #expect(index.count > 2048)
    for position in model.indices { #expect(Array(index.vector(at: position)) == model[position]) }
  }

  private func compare(_ index: ExactIndex, _ model: [[Float]], query: [Float]) throws {
    func dot(_ a: [Float], _ b: [Float]) -> Double {
      a.withUnsafeBufferPointer { a in b.withUnsafeBufferPointer { Kernels.active.dot(a, $0) } }
    }
    let scored = model.enumerated().map { position, row in
      Candidate(
        position: position, score: dot(query, row) / (dot(query, query).squareRoot() * dot(row, row).squareRoot()))
    }
    let expected = scored.sorted { $0.score != $1.score ? $0.score > $1.score : $0.position < $1.position }
    for k in [1, 10, model.count + 5] {
      let found = try index.nearest(to: query[...], k: k, tiePrecedes: <)
      #expect(found == Array(expected.prefix(k)))
    }
    let left = try index.nearest(to: query[...], k: 5, excluding: expected[0].position, tiePrecedes: <)
    #expect(left == Array(expected[1...5]))
  }

  @Test func tiesFollowTheGivenOrder() throws {
    var index = ExactIndex(dimension: 2)
    for _ in 0..<6 { try index.append([1, 1]) }
    #expect(try index.nearest(to: [2, 2], k: 3, tiePrecedes: <).map(\.position) == [0, 1, 2])
    #expect(try index.nearest(to: [2, 2], k: 3, tiePrecedes: >).map(\.position) == [5, 4, 3])
  }

  /// A copy is a snapshot.
  @Test func copiesDoNotSeeLaterWrites() throws {
    var index = ExactIndex(dimension: 1)
    for value in 1...3000 { try index.append([Float(value)]) }
    let snapshot = index
    try index.replace(at: 5, with: [-7])
    index.remove(at: 0)
    #expect(snapshot.count == 3000)
    #expect(Array(snapshot.vector(at: 5)) == [6])
    #expect(Array(snapshot.vector(at: 0)) == [1])
    #expect(Array(index.vector(at: 0)) == [3000])
    #expect(Array(index.vector(at: 5)) == [-7])
  }

  @Test func refusesWhatHasNoCosine() {
    var index = ExactIndex(dimension: 2)
    #expect(throws: IndexError.zeroVector) { try index.append([0, 0]) }
    #expect(throws: IndexError.dimension(expected: 2, found: 3)) { try index.append([1, 2, 3]) }
    #expect(throws: IndexError.zeroVector) { try index.nearest(to: [0, 0], k: 1, tiePrecedes: <) }
    #expect(index.count == 0)
  }
}
