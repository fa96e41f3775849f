import Dispatch
import SimilarityCore
import Synchronization
import TestSupport
import Testing
import VectorIndex

@Suite("Reading while writing")
struct ConcurrencyTests {
  /// Every batch replaces some vectors. Readers must see whole batches, and find exactly what their snapshot contains.
  @Test func snapshotsAreWholeAndStayAsTheyAre() throws {
    var options = IndexOptions()
    options.graphThreshold = 300
    let index = VectorIndex(dimension: 16, metric: .euclidean, options: options)
    var random = Seeded(77)
    var slots = try index.apply(removing: [], adding: random.floats(600 * 16))
    let isDone = Atomic(false)
    let searches = Atomic(0)
    let faults = Mutex<[String]>([])
    let readers = DispatchGroup()
    for reader in 0..<3 {
      // Each reader has its own queue, because other tests may occupy all threads of the global queues.
      DispatchQueue(label: "reader.\(reader)").async(group: readers) {
        var random = Seeded(UInt64(reader))
        while !isDone.load(ordering: .relaxed) {
          let snapshot = index.snapshot
          var search = SearchOptions(k: 10)
          search.mode = reader == 0 ? .exact : .graph(ef: 40)
          let query = random.matrix(1, 16)
          guard let first = try? snapshot.nearest(to: query, search, tiePrecedes: <).neighbors[0],
            let again = try? snapshot.nearest(to: query, search, tiePrecedes: <).neighbors[0]
          else { return faults.withLock { $0.append("a search failed") } }
          if snapshot.count != 600 { faults.withLock { $0.append("\(snapshot.count) vectors: half a batch") } }
          if first.count != 10 { faults.withLock { $0.append("\(first.count) results") } }
          if reader == 0, first != again { faults.withLock { $0.append("a snapshot changed") } }
          for candidate in first {
            let row = snapshot.vector(at: candidate.position)
            let squares = zip(query.values, row).reduce(0.0) {
              $0 + (Double($1.0) - Double($1.1)) * (Double($1.0) - Double($1.1))
            }
            if row.count != 16 || abs(candidate.score + squares.squareRoot()) > 1e-9 {
              faults.withLock { $0.append("a score is not its vector's") }
            }
          }
          searches.add(1, ordering: .relaxed)
        }
      }
    }
    for _ in 0..<400 {
      let removed = (0..<20).map { _ in slots.remove(at: Int(random.next() % UInt64(slots.count))) }
      slots += try index.apply(removing: removed, adding: random.floats(20 * 16))
    }
    isDone.store(true, ordering: .relaxed)
    readers.wait()
    #expect(faults.withLock { $0 } == [])
    #expect(searches.load(ordering: .relaxed) > 0)
    #expect(index.snapshot.count == 600)
    let report = index.validate()
    #expect(report.dangling == 0 && report.repeated == 0, "\(report)")
  }
}
