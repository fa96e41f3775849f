import Encoder
import SimilarityCore

/// What has to be encoded of a request's sequences: each that occurs once, and none that the cache has.
struct SequencePlan: Sendable {
  /// The sequences to be encoded.
  let missing: [TokenSequence]
  /// Where each of the request's sequences has its vector; nil where `missing` are these sequences.
  private let places: [Place]?
  private let cached: [[Float]]
  /// Under which keys the vectors of `missing` are to be kept.
  private let keys: [EmbeddingCache.Key?]
  private let cache: EmbeddingCache?

  private enum Place: Sendable {
    case missing(Int)
    case cached(Int)
  }

  init(_ sequences: [TokenSequence], cache: EmbeddingCache?) {
    self.cache = cache
    var numbers: [TokenSequence: Int] = [:]
    var distinct: [TokenSequence] = []
    var number: [Int] = []
    number.reserveCapacity(sequences.count)
    for sequence in sequences {
      let next = numbers[sequence] ?? distinct.count
      if next == distinct.count {
        numbers[sequence] = next
        distinct.append(sequence)
      }
      number.append(next)
    }
    guard let cache else {
      missing = distinct
      places = distinct.count == sequences.count ? nil : number.map { .missing($0) }
      (cached, keys) = ([], [])
      return
    }
    let allKeys = distinct.map(cache.key)
    var missing: [TokenSequence] = []
    var missingKeys: [EmbeddingCache.Key?] = []
    var cached: [[Float]] = []
    var found: [Place] = []
    for (index, row) in cache.rows(of: allKeys).enumerated() {
      if let row {
        found.append(.cached(cached.count))
        cached.append(row)
      } else {
        found.append(.missing(missing.count))
        missing.append(distinct[index])
        missingKeys.append(allKeys[index])
      }
    }
    self.missing = missing
    self.cached = cached
    keys = missingKeys
    places = missing.count == sequences.count ? nil : number.map { found[$0] }
  }

  /// The vectors of all of the request's sequences, in their order. New ones are kept in the cache.
  ///
  /// - Parameter encoded: a row for each of ``missing``; nil where there are none.
  func rows(_ encoded: Matrix?, dimension: Int) -> Matrix {
    if let cache, let encoded {
      for (index, key) in keys.enumerated() {
        if let key { cache.keep(Array(encoded.row(index)), of: key) }
      }
    }
    guard let places else {
      return encoded ?? Matrix(rows: 0, columns: dimension) { _ in }
    }
    return Matrix(rows: places.count, columns: dimension) { values in
      for (index, place) in places.enumerated() {
        let target = UnsafeMutableBufferPointer(rebasing: values[index * dimension..<(index + 1) * dimension])
        switch place {
        case .missing(let row):
          guard let encoded else { preconditionFailure("missing vectors have been encoded") }
          _ = encoded.withRow(row) { target.update(from: $0) }
        case .cached(let row): _ = target.update(fromContentsOf: cached[row])
        }
      }
    }
  }
}
