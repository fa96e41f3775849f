/// The texts of a pass, whose tokens are rows one after another, and the pieces of rows that threads share.
struct TokenRows: Sendable {
  let sequences: [TokenSequence]
  /// The first row of each text, and the number of all rows.
  let starts: [Int]
  /// Parts of the rows. They depend on the number of rows alone, so that sums over a piece have the same bytes for any
  /// number of threads.
  let pieces: [Range<Int>]

  /// About as many rows as one product needs to be fast.
  private static let rowsPerPiece = 128

  init(_ sequences: [TokenSequence]) {
    self.sequences = sequences
    var starts = [0]
    starts.reserveCapacity(sequences.count + 1)
    for sequence in sequences { starts.append(starts[starts.count - 1] + sequence.count) }
    self.starts = starts
    pieces = Self.pieces(of: starts[starts.count - 1])
  }

  /// The number of rows.
  var count: Int { starts[starts.count - 1] }

  /// Pieces of about equal size, whole groups of rows but for the last.
  static func pieces(of rows: Int) -> [Range<Int>] {
    let count = max(1, (rows + rowsPerPiece / 2) / rowsPerPiece)
    let group = DenseOperand.rowsPerGroup
    let size = max(group, ((rows + count - 1) / count + group - 1) / group * group)
    return stride(from: 0, to: rows, by: size).map { $0..<min(rows, $0 + size) }
  }

  /// The most rows of a piece of so many rows.
  static func longestPiece(of rows: Int) -> Int { pieces(of: rows).first?.count ?? 0 }

  /// Calls `body` with each text that has rows in `part`, with the first of these rows, its place in the text, and their
  /// number.
  func forEachText(
    in part: Range<Int>, _ body: (_ text: Int, _ row: Int, _ position: Int, _ count: Int) -> Void
  ) {
    guard !part.isEmpty else { return }
    var text = self.text(of: part.lowerBound)
    var row = part.lowerBound
    while row < part.upperBound {
      let end = min(part.upperBound, starts[text + 1])
      if end > row { body(text, row, row - starts[text], end - row) }
      row = end
      text += 1
    }
  }

  /// The text that has this row.
  private func text(of row: Int) -> Int {
    var (low, high) = (0, sequences.count - 1)
    while low < high {
      let middle = (low + high + 1) / 2
      if starts[middle] <= row { low = middle } else { high = middle - 1 }
    }
    return low
  }
}
