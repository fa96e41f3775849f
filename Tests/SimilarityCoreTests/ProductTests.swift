import Platform
import SimilarityCore
import Synchronization
import TestSupport
import Testing

/// The cause of a product's failure is reported, also through the loop in which it runs.
@Suite struct ProductTests {
  @Test func productOfRows() throws {
    let left: [Float] = [1, 2, 3, 4]
    let right: [Float] = [5, 6, 7, 8, 9, 10]
    var products = [Float](repeating: -1, count: 8)
    try Product.ofRows(left, rows: 2, right, columns: 3, inner: 2, into: &products, stride: 4)
    #expect(products == [17, 23, 29, -1, 39, 53, 67, -1])
    try Product.add(weights: left, count: 2, stride: 2, rows: right, inner: 2, columns: 3, to: &products)
    let sums: [Float] = [38, 47, 56, 46, 93, 114, 67, -1]
    #expect(products == sums)
  }

  /// Ties are decided by these products, so that they must not depend on where a row stands, nor on how many there are.
  @Test(arguments: [8, 33, 384]) func equalRowsHaveEqualProducts(_ inner: Int) throws {
    var random = Seeded(5)
    let row = random.floats(inner)
    let equal = Matrix(rows: 512, columns: inner) { values in
      for index in values.indices { values[index] = row[index % inner] }
    }
    for rows in [1, 6, 8, 64, 71, 100] {
      var expected: [Float] = []
      for columns in [1, 2, 6, 15, 16, 17, 40, 100, 512] {
        var products = [Float](repeating: .nan, count: rows * columns)
        try equal.withBaseAddress { values throws(ProductFailure) in
          try Product.ofRows(
            values, rows: rows, values, columns: columns, inner: inner, into: &products, stride: columns)
        }
        let firsts = (0..<rows).map { products[$0 * columns] }
        if expected.isEmpty { expected = firsts }
        #expect(firsts == expected)
        #expect(products.indices.allSatisfy { products[$0] == expected[$0 / columns] }, "\(rows), \(columns)")
      }
      let loop = ParallelLoop(threads: 1)
      let packed = try PackedRows(equal, leftRows: rows, stride: 512, tiesMatter: true, loop: loop)
      guard let packed else { continue }
      var products = [Float](repeating: .nan, count: rows * 512)
      try equal.withBaseAddress { values throws(ProductFailure) in
        try packed.product(tile: 0, values, into: &products)
      }
      #expect(products.indices.allSatisfy { products[$0] == expected[$0 / 512] }, "\(rows) rows, packed")
    }
  }

  /// The library refuses an output whose rows overlap, which must not be reported as missing memory.
  @Test func aLibraryThatFails() {
    let values: [Float] = [1, 2]
    var products: [Float] = [0]
    let failure = #expect(throws: ProductFailure.self) {
      try Product.ofRows(values, rows: 1, values, columns: 2, inner: 1, into: &products, stride: 1)
    }
    #expect(failure == .library(status: 2))
    #expect(failure?.description == "the matrix library failed: invalid_arguments")
  }

  @Test func statusesAreCauses() {
    #expect(ProductFailure(status: 1) == .outOfMemory)
    #expect(ProductFailure(status: 5) == .library(status: 5))
    #expect(ProductFailure() == .library(status: nil))
    #expect(ProductFailure.outOfMemory.description == "the matrix library could not get memory")
    #expect(ProductFailure().description == "the matrix library failed")
  }

  /// The test runs in a process of its own, whose address space cannot grow any more.
  @Test func packingWithoutMemory() async {
    await #expect(processExitsWith: .exitCode(42)) {
      let rows = Matrix(rows: PackedRows.rowsPerTile, columns: 1 << 15) { _ in }
      forbidGrowth()
      do throws(ProductFailure) {
        _ = try PackedRows(
          rows, leftRows: 64, stride: PackedRows.rowsPerTile, tiesMatter: false, loop: ParallelLoop(threads: 1))
        exit(1)
      } catch {
        exit(error == .outOfMemory ? 42 : 2)
      }
    }
  }

  @Test func rowsWithoutAWholeTileAreNotPacked() throws {
    let rows = Matrix(rows: PackedRows.rowsPerTile - 1, columns: 3) { _ in }
    #expect(try PackedRows(rows, leftRows: 1, stride: 3, tiesMatter: false, loop: ParallelLoop(threads: 1)) == nil)
  }

  @Test func aTileThatIsNotThereStopsTheProgram() async {
    await #expect(processExitsWith: .failure) {
      let rows = Matrix(rows: PackedRows.rowsPerTile, columns: 4) { _ in }
      let packed = try PackedRows(
        rows, leftRows: 1, stride: PackedRows.rowsPerTile, tiesMatter: false, loop: ParallelLoop(threads: 1))
      var products = [Float](repeating: 0, count: PackedRows.rowsPerTile)
      try packed?.product(tile: 1, [0, 0, 0, 0], into: &products)
    }
  }

  @Test(arguments: [1, 3]) func aLoopThrowsWhatItsPieceThrew(_ threads: Int) {
    let loop = ParallelLoop(threads: threads)
    let begun = Atomic(0)
    let failure = #expect(throws: ProductFailure.self) {
      try loop.forEachPiece(10_000) { index throws(ProductFailure) in
        begun.add(1, ordering: .relaxed)
        if index == 3 { throw .outOfMemory }
      }
    }
    #expect(failure == .outOfMemory)
    if threads == 1 { #expect(begun.load(ordering: .relaxed) == 4) }
  }

  @Test(arguments: [1, 2, 5]) func aLoopRunsEachPieceOnce(_ threads: Int) {
    let counts = Mutex([Int](repeating: 0, count: 100))
    ParallelLoop(threads: threads).forEachPiece(100) { index in counts.withLock { $0[index] += 1 } }
    #expect(counts.withLock { $0 } == [Int](repeating: 1, count: 100))
  }
}
