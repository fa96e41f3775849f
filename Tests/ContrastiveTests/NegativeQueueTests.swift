import Contrastive
import SimilarityCore
import Testing

@Suite struct NegativeQueueTests {
  private func rows(_ numbers: ClosedRange<Int>) -> Matrix {
    Matrix(rows: numbers.count, columns: 2) { out in
      for index in out.indices { out[index] = Float(numbers.lowerBound + index / 2) }
    }
  }

  @Test func keepsTheLatestRowsOldestFirst() {
    var queue = NegativeQueue(capacity: 4, dimension: 2)
    #expect(queue.rows == Matrix(rows: 0, columns: 2, values: []))
    queue.append(rows(1...3))
    #expect(queue.rows == rows(1...3))
    queue.append(rows(4...5))
    #expect(queue.rows == rows(2...5))
    queue.append(rows(6...8))
    #expect(queue.rows == rows(5...8))
    queue.append(rows(9...19))
    #expect(queue.rows == rows(16...19))
    #expect(queue.count == 4)
    #expect(queue.appended == 19)
  }

  @Test func rowsOfAnotherWidthStopTheProgram() async {
    await #expect(processExitsWith: .failure) {
      var queue = NegativeQueue(capacity: 4, dimension: 2)
      queue.append(Matrix(rows: 1, columns: 3) { _ in })
    }
    await #expect(processExitsWith: .failure) { _ = NegativeQueue(capacity: 0, dimension: 2) }
  }
}
