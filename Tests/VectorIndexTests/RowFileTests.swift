import Foundation
import SimilarityCore
import TestSupport
import Testing
import VectorIndex

@Suite("Rows on disk")
struct RowFileTests {
  private func index(in folder: String?, _ dimension: Int) -> VectorIndex {
    var options = IndexOptions()
    options.graphThreshold = 1000
    options.rowFolder = folder
    return VectorIndex(dimension: dimension, metric: .euclidean, options: options)
  }

  /// With 1,031 values per row, the size of a block is no multiple of the largest page size.
  @Test(arguments: [16, 1031]) func answersAreThoseOfMemory(_ dimension: Int) throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("nearfar-rows-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    var random = Seeded(8)
    let indexes = [index(in: nil, dimension), index(in: folder, dimension)]
    for round in 0..<4 {
      let rows = random.floats(700 * dimension)
      let removed = round == 0 ? [] : Array(0..<50)
      let slots = try indexes.map { try $0.apply(removing: removed, adding: rows) }
      #expect(slots[0] == slots[1])
    }
    let queries = random.matrix(30, dimension)
    for mode in [SearchOptions.Mode.exact, .graph(ef: 40)] {
      var search = SearchOptions(k: 10)
      search.mode = mode
      let found = try indexes.map { try $0.snapshot.nearest(to: queries, search, tiePrecedes: <).neighbors }
      #expect(found[0] == found[1])
    }
    let snapshots = indexes.map(\.snapshot)
    #expect(snapshots[0].count > 2500 && snapshots[0].live == snapshots[1].live)
    for slot in snapshots[0].live.all { #expect(snapshots[0].vector(at: slot) == snapshots[1].vector(at: slot)) }
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == [])
  }

  @Test func aFolderThatIsNotThereIsNamed() throws {
    let index = index(in: "/nowhere/at/all", 16)
    var random = Seeded(9)
    let rows = random.floats(16)
    let expected = IndexError.rowsUnavailable("/nowhere/at/all: No such file or directory")
    #expect(throws: expected) { try index.reserve(1) }
    #expect(throws: expected) { try index.apply(removing: [], adding: rows) }
    #expect(index.snapshot.count == 0)
  }

  @Test func roomThatWasMadeIsThere() throws {
    let index = index(in: nil, 16)
    try index.reserve(5000)
    #expect(index.snapshot.count == 0)
    var random = Seeded(10)
    #expect(try index.apply(removing: [], adding: random.floats(5000 * 16)) == Array(0..<5000))
    #expect(throws: IndexError.outOfMemory) { try index.reserve(1 << 40) }
    #expect(index.snapshot.count == 5000)
  }
}
