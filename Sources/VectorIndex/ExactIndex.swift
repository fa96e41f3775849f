import SimilarityCore

/// Why a vector cannot be stored or searched.
public enum IndexError: Error, Sendable, Equatable {
  /// The vector has `found` values where the index holds `expected`.
  case dimension(expected: Int, found: Int)
  /// A vector of zeros has no direction.
  case zeroVector
}

/// Vectors under cosine similarity, searched one by one: the answer is exact by construction.
///
/// A value type: a copy is a snapshot that later writes do not touch. Rows live in blocks, and a write copies only the
/// block that it changes, so searching a snapshot while writing costs one block, not the whole set.
public struct ExactIndex: Sendable {
  /// 1,024 rows of 384 values are 1.5 MiB.
  static let rowsPerBlock = 1024

  private struct Block: Sendable {
    var values: [Float] = []
    /// ‖row‖ in f64.
    var norms: [Double] = []
  }

  /// Values of a vector.
  public let dimension: Int
  /// Vectors held; their positions are 0 ..< count.
  public private(set) var count = 0
  private var blocks: [Block] = []

  public init(dimension: Int) {
    self.dimension = dimension
  }

  /// Adds `vector` at position ``count``.
  public mutating func append(_ vector: ArraySlice<Float>) throws(IndexError) {
    let norm = try checkedNorm(vector)
    if count % Self.rowsPerBlock == 0 { blocks.append(Block()) }
    blocks[blocks.count - 1].values.append(contentsOf: vector)
    blocks[blocks.count - 1].norms.append(norm)
    count += 1
  }

  /// Puts `vector` in the place of the one at `position`; nothing happens outside 0 ..< count.
  public mutating func replace(at position: Int, with vector: ArraySlice<Float>) throws(IndexError) {
    let norm = try checkedNorm(vector)
    guard position >= 0, position < count else { return }
    let (block, row) = position.quotientAndRemainder(dividingBy: Self.rowsPerBlock)
    blocks[block].values.replaceSubrange(row * dimension..<(row + 1) * dimension, with: vector)
    blocks[block].norms[row] = norm
  }

  /// Removes the vector at `position` by moving the last one into its place.
  public mutating func remove(at position: Int) {
    guard position >= 0, position < count else { return }
    let last = count - 1
    if position != last {
      let (from, to) = (location(last), location(position))
      let moved = vector(at: last)
      blocks[to.block].values.replaceSubrange(to.row * dimension..<(to.row + 1) * dimension, with: moved)
      blocks[to.block].norms[to.row] = blocks[from.block].norms[from.row]
    }
    blocks[blocks.count - 1].values.removeLast(dimension)
    blocks[blocks.count - 1].norms.removeLast()
    if blocks[blocks.count - 1].norms.isEmpty { blocks.removeLast() }
    count = last
  }

  /// The vector at `position`, as it was stored; empty outside 0 ..< count.
  public func vector(at position: Int) -> ArraySlice<Float> {
    guard position >= 0, position < count else { return [] }
    let (block, row) = location(position)
    return blocks[block].values[row * dimension..<(row + 1) * dimension]
  }

  /// The `k` most similar vectors, best first.
  ///
  /// - Parameters:
  ///   - query: `dimension` values.
  ///   - excluded: a position that is left out.
  ///   - precedes: decides ties by position, so that the answer does not depend on the order of storage.
  public func nearest(
    to query: ArraySlice<Float>, k: Int, excluding excluded: Int? = nil, kernels: Kernels = .active,
    tiePrecedes: @escaping (Int, Int) -> Bool
  ) throws(IndexError) -> [Candidate] {
    let queryNorm = try checkedNorm(query)
    var best = TopK(capacity: min(k, count)) { a, b in
      a.score != b.score ? a.score > b.score : tiePrecedes(a.position, b.position)
    }
    var products = [Double](repeating: 0, count: Self.rowsPerBlock)
    for (index, block) in blocks.enumerated() {
      products.withUnsafeMutableBufferPointer { out in
        query.withUnsafeBufferPointer { q in
          block.values.withUnsafeBufferPointer {
            kernels.dots(q, $0, into: UnsafeMutableBufferPointer(rebasing: out[..<block.norms.count]))
          }
        }
      }
      for row in block.norms.indices {
        let position = index * Self.rowsPerBlock + row
        guard position != excluded else { continue }
        best.insert(Candidate(position: position, score: products[row] / (queryNorm * block.norms[row])))
      }
    }
    return best.sorted()
  }

  private func location(_ position: Int) -> (block: Int, row: Int) {
    let parts = position.quotientAndRemainder(dividingBy: Self.rowsPerBlock)
    return (parts.quotient, parts.remainder)
  }

  private func checkedNorm(_ vector: ArraySlice<Float>) throws(IndexError) -> Double {
    guard vector.count == dimension else { throw .dimension(expected: dimension, found: vector.count) }
    let norm = vector.withUnsafeBufferPointer { Kernels.active.dot($0, $0) }.squareRoot()
    guard norm > 0 else { throw .zeroVector }
    return norm
  }
}
