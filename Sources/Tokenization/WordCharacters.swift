/// The characters that an added token with `single_word` must not touch; read only when there is such a token.
struct WordCharacters: Sendable {
  static let shared = WordCharacters()

  private var ranges: [ClosedRange<Int>] = []

  private init() {
    var reader = UnicodeReader(UnicodeData.wordCharacters)
    reader.ranges { range, _ in ranges.append(range) }
  }

  func contains(_ scalar: UInt32) -> Bool {
    let code = Int(scalar)
    var low = 0
    var high = ranges.count
    while low < high {
      let middle = (low + high) / 2
      if ranges[middle].upperBound < code { low = middle + 1 } else { high = middle }
    }
    return low < ranges.count && ranges[low].contains(code)
  }
}
