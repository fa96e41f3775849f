import SimilarityCore
import Synchronization
import TestSupport
import Testing
import VectorIndex

@Suite("Images of the graph")
struct GraphImageTests {
  private func empty() -> VectorIndex {
    var options = IndexOptions()
    options.graphThreshold = 200
    return VectorIndex(dimension: 16, metric: .cosine, options: options)
  }

  @Test func rowsThatWaitForTheirCodesAreFound() throws {
    var random = Seeded(13)
    let rows = random.floats(600 * 16)
    let queries = try #require(Matrix(rows: 30, columns: 16, values: random.floats(30 * 16)))
    let built = empty()
    _ = try built.apply(removing: [], adding: rows)
    let index = empty()
    for first in stride(from: 0, to: rows.count, by: 100 * 16) {
      _ = try index.apply(removing: [], adding: Array(rows[first..<first + 100 * 16]), buildsGraph: false)
    }
    _ = try index.apply(removing: [7], adding: [], buildsGraph: false)
    _ = try built.apply(removing: [7], adding: [])
    func found(_ index: VectorIndex, _ mode: SearchOptions.Mode) throws -> [[Candidate]] {
      var options = SearchOptions(k: 10)
      options.mode = mode
      return try index.snapshot.nearest(to: queries, options, tiePrecedes: <).neighbors
    }
    let expected = try found(built, .exact)
    #expect(try found(index, .exact) == expected)
    #expect(try found(index, .automatic) == expected)
    index.buildGraph()
    #expect(index.validate().nodes == 599)
    #expect(index.validate().isSound)
    #expect(try found(index, .exact) == expected)
    #expect(try found(index, .graph(ef: 600)) == expected)
  }

  @Test func wrongImagesAreRefused() throws {
    var random = Seeded(12)
    let rows = random.floats(600 * 16)
    let built = empty()
    let slots = try built.apply(removing: [], adding: rows)
    let image = try #require(built.image())
    let index = empty()
    #expect(try index.apply(removing: [], adding: rows, buildsGraph: false) == slots)
    #expect(index.image() == nil)
    func refuses(_ change: (inout GraphImage) -> Void) {
      var wrong = image
      change(&wrong)
      #expect(!index.adopt(wrong, at: slots))
      #expect(index.snapshot.graph == nil)
    }
    let width = image.lists.width
    func refusesLists(_ width: Int = width, _ change: (inout [Int32]) -> Void) {
      var wrong = image.lists[0..<600]
      change(&wrong)
      let lists = wrong
      refuses {
        $0.lists = GraphLists(width: width) { nodes in
          Array(lists.dropFirst(nodes.lowerBound * (1 + 79)).prefix(nodes.count * (1 + 79)))
        }
      }
    }
    #expect(width == 79)
    refusesLists { $0[0] = Int32(width + 1) }
    refusesLists { $0[0] = -1 }
    refusesLists { $0[1] = 600 }
    refusesLists { $0[1] = .min }
    refusesLists { $0[1] = 0 }
    refusesLists { $0[1] = $0[2] }
    refusesLists { $0.removeLast() }
    refusesLists(.max - 1) { _ in }
    refusesLists(0) { _ in }
    #expect(!index.adopt(image, at: [0] + slots.dropLast()))
    #expect(!index.adopt(image, at: slots.dropLast() + [600]))
    #expect(!index.adopt(image, at: slots.map { $0 < 200 ? -1 : $0 }))
    #expect(index.adopt(image, at: slots))
    #expect(index.validate() == built.validate())
    #expect(!index.adopt(image, at: slots))
  }

  /// Lists are read once to check them and once to copy them. A failure of the second read must not be reported as
  /// missing memory.
  @Test func listsThatCannotBeReadAgainAreRefused() throws {
    var random = Seeded(14)
    let rows = random.floats(600 * 16)
    let built = empty()
    let slots = try built.apply(removing: [], adding: rows)
    let image = try #require(built.image())
    let index = empty()
    _ = try index.apply(removing: [], adding: rows, buildsGraph: false)
    var failing = image
    let reads = Counter()
    failing.lists = GraphLists(width: image.lists.width) { reads.next() > 1 ? [] : image.lists[$0] }
    #expect(!index.adopt(failing, at: slots))
    #expect(reads.next() > 2)
    #expect(index.snapshot.graph == nil)
    // The lists that were copied before the failure do no harm.
    index.buildGraph()
    #expect(index.validate().nodes == 600 && index.validate().isSound)
    #expect(!index.adopt(image, at: slots))
  }
}

private final class Counter: Sendable {
  private let count = Mutex(0)

  func next() -> Int {
    count.withLock {
      $0 += 1
      return $0
    }
  }
}
