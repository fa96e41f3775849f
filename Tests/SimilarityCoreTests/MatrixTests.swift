import SimilarityCore
import Testing

@Suite struct MatrixTests {
  @Test func holdsExactlyItsShape() {
    #expect(Matrix(rows: 2, columns: 3, values: [1, 2, 3, 4, 5]) == nil)
    #expect(Matrix(rows: Int.max, columns: 2, values: []) == nil)
    #expect(Matrix(rows: -1, columns: -1, values: [1]) == nil)
    #expect(Matrix(rows: 2, columns: 2, values: [1, 2, 3, 4])?.row(1) == [3, 4])
  }

  @Test func aRowThatIsNotThereStopsTheProgram() async {
    await #expect(processExitsWith: .failure) { _ = Matrix(rows: 2, columns: 2) { _ in }.row(2) }
    await #expect(processExitsWith: .failure) { Matrix(rows: 2, columns: 2) { _ in }.withRow(-1) { _ in } }
    await #expect(processExitsWith: .failure) { _ = Matrix(rows: -1, columns: 2) { _ in } }
    await #expect(processExitsWith: .failure) { _ = FloatBuffer(4)[2..<5] }
  }

  @Test func prefixKeepsLeadingColumns() throws {
    let matrix = try #require(Matrix(rows: 2, columns: 3, values: [1, 2, 3, 4, 5, 6]))
    #expect(matrix.prefix(columns: 2).values == [1, 2, 4, 5])
    #expect(matrix.prefix(columns: 9) == matrix)
  }

  @Test func normalizingNamesAZeroRow() throws {
    let matrix = try #require(Matrix(rows: 3, columns: 2, values: [3, 4, 0, 0, 1, 0]))
    #expect(matrix.norms() == [5, 0, 1])
    #expect(throws: ZeroRow(row: 1)) { try matrix.normalized() }
  }

  /// The sums are computed in f64, so that they neither overflow nor become 0 where squares in f32 would.
  @Test func normsOfExtremeRows() throws {
    let matrix = try #require(
      Matrix(rows: 2, columns: 2, values: [3e30, 4e30, Float(bitPattern: 3 << 10), Float(bitPattern: 4 << 10)]))
    let norms = matrix.norms()
    #expect(abs(norms[0] / 5e30 - 1) < 1e-6)
    #expect(abs(norms[1] / Double(Float(bitPattern: 5 << 10)) - 1) < 1e-4)
    let unit = try matrix.normalized()
    #expect(abs(unit.row(1)[2] - 0.6) < 1e-4)
  }
}
