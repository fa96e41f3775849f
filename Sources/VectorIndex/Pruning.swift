import SimilarityCore

/// Chooses a slot's neighbours among candidates so that they point in different directions, by the rows themselves: codes are
/// too coarse where vectors crowd.
struct Pruning {
  /// α², since distances are compared as squares (Subramanya et al. 2019, "DiskANN", section 2.4).
  static let defaultAlphaSquared: Float = 1.2 * 1.2

  /// Under the dot product one neighbour of so many is chosen by product.
  private static let uphillShare = 3

  let records: CodeRecords
  let rows: RowBlocks
  let degree: Int
  var alphaSquared = Self.defaultAlphaSquared
  let kernels: Kernels

  /// What becomes of candidates.
  struct Choice {
    /// At most ``degree`` of them, nearest first.
    fileprivate(set) var chosen: [UInt32]
    fileprivate let candidates: [UInt32]
    fileprivate let places: [Int]

    /// The others, which few callers ask for.
    var left: [UInt32] {
      var isLeft = [Bool](repeating: true, count: candidates.count)
      for place in places { isLeft[place] = false }
      return candidates.indices.filter { isLeft[$0] }.map { candidates[$0] }
    }
  }

  /// - Parameter candidates: without `slot` itself; a slot may occur once only.
  func choose(for slot: Int, from candidates: [UInt32]) -> Choice {
    guard records.metric == .dot else { return spread(degree, for: slot, from: candidates) }
    let uphill = uphill(from: slot, among: candidates)
    var choice = spread(degree - uphill.count, for: slot, from: candidates.filter { !uphill.contains($0) })
    choice.chosen = uphill + choice.chosen
    return choice
  }

  /// Of `candidates`, some with the largest products with the row of `slot`, larger than its own square, best first.
  ///
  /// A walk for large products that knew near rows only would end at the first that is longer than its surroundings. What is
  /// best for a row is nearly best for the queries that lead to it (Morozov & Babenko 2018, "Non-metric similarity graphs for
  /// maximum inner product search").
  private func uphill(from slot: Int, among candidates: [UInt32]) -> [UInt32] {
    let row = rows.row(slot)
    let own = rows.norm(slot) * rows.norm(slot)
    var better: [(product: Double, slot: UInt32)] = []
    // By Cauchy–Schwarz shorter rows have smaller products.
    for candidate in candidates where rows.norm(Int(candidate)) > rows.norm(slot) {
      let product = kernels.dot(row, rows.row(Int(candidate)))
      if product > own { better.append((product, candidate)) }
    }
    better.sort { $0.product != $1.product ? $0.product > $1.product : $0.slot < $1.slot }
    return better.prefix(degree / Self.uphillShare).map(\.slot)
  }

  private func spread(_ degree: Int, for slot: Int, from candidates: [UInt32]) -> Choice {
    let places = kernels.choose(
      degree, of: candidates.map { rows.row(Int($0)).baseAddress },
      factors: candidates.map { scale(of: Int($0)) },
      slots: candidates, around: rows.row(slot), factor: scale(of: slot),
      slot: UInt32(truncatingIfNeeded: slot), alphaSquared: alphaSquared)
    return Choice(chosen: places.map { candidates[$0] }, candidates: candidates, places: places)
  }

  /// What a row is multiplied by before distances are taken.
  private func scale(of slot: Int) -> Float { records.metric == .cosine ? Float(1 / rows.norm(slot)) : 1 }

  /// The nearest of `candidates`, the smaller slot of two; nil when there is none.
  func nearest(to slot: Int, of candidates: [UInt32]) -> UInt32? {
    candidates.map { (distance(Int($0), slot), $0) }.min { $0 < $1 }?.1
  }

  /// The squared distance of two rows; of their directions under the cosine.
  func distance(_ a: Int, _ b: Int) -> Double {
    let (x, y) = (rows.row(a), rows.row(b))
    guard records.metric == .cosine else { return kernels.squaredDistance(x, y) }
    return 2 - 2 * kernels.dot(x, y) / (rows.norm(a) * rows.norm(b))
  }
}
