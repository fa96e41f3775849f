import SimilarityCore
import TestSupport
import Testing

/// Compares the candidate pool of a graph search with a stable sort, for every variant of the kernels. Short and long
/// pools are covered, because their code differs.
@Suite struct CandidatePoolTests {
  @Test(arguments: Kernels.runnable) func offersAreSorted(_ kernels: Kernels) throws {
    let coarse = CoarseQuantizer(dimension: 4, metric: .dot, rotation: Rotation(dimension: 4))
    let records = try #require(CodeRecords(coarse: coarse, slots: 256, neighbors: 8))
    var random = Seeded(11)
    for room in 1...40 {
      // There are ties, infinities and NaN among the keys, since sums over very long rows overflow f32.
      let keys = random.floats(200).map { ($0 * 20).rounded() } + [.infinity, -.infinity, .nan, .infinity, 1, 30]
      let slots = keys.indices.map { UInt32($0) }
      var pool: (slots: [UInt32], keys: [Float]) = (
        Array(repeating: 999, count: room + CandidatePool.slack),
        Array(repeating: -.infinity, count: room + CandidatePool.slack)
      )
      var start = 0
      var expected: [Int] = []
      var size = 0
      for count in [1, 3, 16, 17, 32, 5, 100, keys.count - 174] {
        let before = expected
        expected = expected + (start..<start + count).filter { keys[$0] > -.infinity }
        expected = Array(
          expected.enumerated().sorted { a, b in
            keys[a.element] != keys[b.element] ? keys[a.element] > keys[b.element] : a.offset < b.offset
          }.map(\.element).prefix(room))
        let lowest = pool.slots.withUnsafeMutableBufferPointer { poolSlots in
          pool.keys.withUnsafeMutableBufferPointer { poolKeys in
            slots.withUnsafeBufferPointer { slots in
              keys.withUnsafeBufferPointer { keys -> Int in
                guard let a = poolSlots.baseAddress, let b = poolKeys.baseAddress, let c = slots.baseAddress,
                  let d = keys.baseAddress
                else { return -1 }
                var raw = CandidatePool(slots: a, keys: b, size: size, room: room, next: 0)
                let lowest = records.offer(c + start, keys: d + start, count: count, to: &raw, kernels)
                size = raw.size
                return lowest
              }
            }
          }
        }
        start += count
        #expect(pool.slots[..<size].map(Int.init) == expected, "a pool of \(room) after \(start)")
        #expect(pool.keys[..<size].elementsEqual(expected.map { keys[$0] }))
        #expect(pool.keys[size...].allSatisfy { $0 == -.infinity })
        let same = zip(before, expected).prefix { $0 == $1 }.count
        #expect(lowest == (before == expected ? before.count : same))
      }
    }
  }
}
