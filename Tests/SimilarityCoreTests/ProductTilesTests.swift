import SimilarityCore
import TestSupport
import Testing

@Suite struct ProductTilesTests {
  /// Shapes around the edges of a tile; every pair must be covered once, with its product.
  @Test(arguments: [(1, 1, 1), (3, 5, 7), (64, 512, 16), (65, 513, 33), (130, 1030, 384)])
  func coversEveryPairOnce(_ rows: Int, _ columns: Int, _ inner: Int) throws {
    var random = Seeded(UInt64(rows))
    let left = random.matrix(rows, inner)
    let right = random.matrix(columns, inner)
    var found = [Float?](repeating: nil, count: rows * columns)
    try ProductTiles.forEach(left: left, right: right) { tile in
      for row in tile.rows {
        for (offset, product) in tile.products(ofRow: row).enumerated() {
          let index = row * columns + tile.columns.lowerBound + offset
          #expect(found[index] == nil)
          found[index] = product
        }
      }
    }
    for row in stride(from: 0, to: rows, by: 13) {
      for column in stride(from: 0, to: columns, by: 7) {
        let expected = zip(left.row(row), right.row(column)).reduce(0) { $0 + Double($1.0) * Double($1.1) }
        let product = try #require(found[row * columns + column])
        #expect(abs(Double(product) - expected) <= 3e-5)
      }
    }
    #expect(!found.contains(nil))
  }

  @Test func refusesRowsOfDifferentLength() throws {
    let left = try #require(Matrix(rows: 1, columns: 2, values: [1, 2]))
    let right = try #require(Matrix(rows: 1, columns: 3, values: [1, 2, 3]))
    #expect(throws: ProductFailure.self) { try ProductTiles.forEach(left: left, right: right) { _ in } }
  }
}
