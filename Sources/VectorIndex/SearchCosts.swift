import SimilarityCore

/// What a search costs in nanoseconds on one core, about. Only ratios count, and only whether another way is cheaper.
package struct SearchCosts {
  /// What a scan costs however little it compares.
  private static let setup = 5_000.0
  /// Of each cell, so many places of the last tile are empty.
  private static let emptyPerCell = 32

  /// Where nothing was measured, lists are read when at least one in so many of their rows counts.
  private static let sparsest = (inLists: 16, inRecords: 4)

  /// How much more a scan in the order of cells may seem to cost.
  private static let worthOrder = 1.2

  private let hasCodes: Bool
  private let compared: Double
  /// For a row that a scan compares by the upper half of its codes.
  private let rough: Double
  /// For a row that a scan compares by all bits.
  private let full: Double
  /// For a row and a query in a product of many.
  private let product: Double

  package init(dimension: Int) {
    hasCodes = InvertedLists.hasCodes(dimension: dimension)
    let isDivided = CodeRecords.isDivided(dimension: dimension)
    let dimension = Double(dimension)
    compared = 6 + 2.5 * (1 + (isDivided ? 0.5 : 1) * dimension / 64)
    // Halves of codes lie side by side in the lists, or anywhere.
    rough = hasCodes ? 0.3 + 0.01 * dimension : 2 + 0.013 * dimension
    full = 8 + 0.01 * dimension
    product = 0.4 + 0.006 * dimension
  }

  /// For a slot that a walk meets: it is compared with the query, and some are put in their place in the pool.
  func met(ef: Double) -> Double { compared + 0.03 * ef }

  /// For scans that compare so much.
  func scan(_ scans: ScanEffort) -> Double {
    scans.queries * Self.setup + scans.rough * rough + scans.full * full
  }

  /// For a scan of `allowed` of `live` rows.
  ///
  /// - Parameter measured: what a scan of all rows compares; nil when that is not known.
  func scan(of allowed: Int, among live: Int, measured: ScanEffort?) -> Double {
    min(oneByOne(allowed), byCell(allowed, among: live, measured) ?? .infinity)
  }

  /// Whether a scan of `allowed` of `live` rows is to read the lists, cell by cell, and not those rows alone.
  func readsLists(_ allowed: Int, among live: Int, measured: ScanEffort?) -> Bool {
    guard allowed < live else { return true }
    guard let cost = byCell(allowed, among: live, measured) else {
      return allowed * (hasCodes ? Self.sparsest.inLists : Self.sparsest.inRecords) >= live
    }
    // Near cells come first, with a threshold for the rest.
    return cost <= Self.worthOrder * oneByOne(allowed)
  }

  /// Whether to go on in the order of cells, over so many rows, costs less than to compare `allowed` rows one by one.
  func readsCells(rows: Int, for allowed: Int) -> Bool {
    rows <= allowed || Double(rows) * rough <= Double(allowed) * full
  }

  private func oneByOne(_ allowed: Int) -> Double { Self.setup + Double(allowed) * full }

  private func byCell(_ allowed: Int, among live: Int, _ measured: ScanEffort?) -> Double? {
    guard let measured = measured?.mean, allowed > 0 else { return nil }
    // The fewer match, the farther is the k-th of them.
    let farther = (Double(max(allowed, live)) / Double(allowed)).squareRoot()
    return scan(
      ScanEffort(
        queries: 1, rough: min(Double(live), measured.rough * farther),
        full: min(Double(allowed), measured.full * farther)))
  }

  /// For one query of many that are compared with all rows in one pass.
  func pass(over rows: Int, cells: Int) -> Double { Double(rows + Self.emptyPerCell * cells) * product }
}
