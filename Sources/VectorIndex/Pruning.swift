import SimilarityCore

/// Chooses a slot's neighbours among candidates so that they lie in different directions. It compares the rows themselves, since
/// codes are too coarse where vectors are dense.
struct Pruning {
  /// α², since distances are compared as squares (Subramanya et al. 2019, "DiskANN", section 2.4).
  static let defaultAlphaSquared: Float = 1.2 * 1.2

  /// Under the dot product at most one in so many neighbours is chosen by its product.
  private static let uphillShare = 3

  let records: CodeRecords
  let rows: RowBlocks
  let degree: Int
  var alphaSquared = Self.defaultAlphaSquared
  let kernels: Kernels

  /// The result of a choice.
  struct Choice {
    /// At most ``degree`` candidates, nearest first.
    fileprivate(set) var chosen: [UInt32]
    fileprivate let candidates: [UInt32]
    fileprivate let places: [Int]

    /// The other candidates. They are computed on demand, since few callers need them.
    var left: [UInt32] {
      var isLeft = [Bool](repeating: true, count: candidates.count)
      for place in places { isLeft[place] = false }
      return candidates.indices.filter { isLeft[$0] }.map { candidates[$0] }
    }
  }

  /// - Parameter candidates: different slots, without `slot` itself.
  func choose(for slot: Int, from candidates: [UInt32]) -> Choice {
    guard records.metric == .dot else { return spread(degree, for: slot, from: candidates) }
    let uphill = uphill(from: slot, among: candidates)
    var choice = spread(degree - uphill.count, for: slot, from: candidates.filter { !uphill.contains($0) })
    choice.chosen = uphill + choice.chosen
    return choice
  }

  /// The candidates with the largest products with the row of `slot`, best first, among those whose product is larger than the
  /// square of that row.
  ///
  /// With edges to near rows only, a walk for large products would end at the first row that is longer than those around it.
  /// The best rows for a row are nearly the best for the queries that lead to it (Morozov & Babenko 2018, "Non-metric
  /// similarity graphs for maximum inner product search").
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

  /// The factor by which a row is multiplied before distances are taken.
  private func scale(of slot: Int) -> Float { records.metric == .cosine ? Float(1 / rows.norm(slot)) : 1 }

  /// The nearest of `candidates`, by slot where two are equally near; nil when there is none.
  func nearest(to slot: Int, of candidates: [UInt32]) -> UInt32? {
    candidates.map { (distance(Int($0), slot), $0) }.min { $0 < $1 }?.1
  }

  /// The squared distance of two rows, of their directions under the cosine.
  func distance(_ a: Int, _ b: Int) -> Double {
    let (x, y) = (rows.row(a), rows.row(b))
    guard records.metric == .cosine else { return kernels.squaredDistance(x, y) }
    return 2 - 2 * kernels.dot(x, y) / (rows.norm(a) * rows.norm(b))
  }
}
