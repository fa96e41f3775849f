import SimilarityCore

/// Exact search: every row that the error bounds of its codes cannot rule out is scored in f64.
///
/// By Cauchy–Schwarz the true key of a row differs from the key of its codes by at most a known width, so that no true
/// neighbour is lost.
struct ExactSearch {
  /// The number of words of live slots from which on a scan is divided among the threads.
  private static let manyWords = 512
  /// The number of slots in one call of the kernel.
  private static let slotsPerStep = 512

  let records: CodeRecords
  let lists: InvertedLists?
  /// The slots to be searched.
  let allowed: SlotSet
  /// The words of those that are in the lists, and of the others.
  let listed: [UInt64]
  let others: [UInt64]
  let costs: SearchCosts
  let kernels: Kernels

  init(_ allowed: SlotSet, in snapshot: IndexSnapshot, records: CodeRecords) {
    self.records = records
    self.allowed = allowed
    kernels = snapshot.kernels
    costs = SearchCosts(dimension: records.dimension)
    guard let lists = snapshot.lists,
      costs.readsLists(allowed.count, among: snapshot.live.count, measured: snapshot.calibration.scan(costs))
    else {
      (lists, listed, others) = (nil, [], allowed.words)
      return
    }
    self.lists = lists
    listed = allowed.words(in: snapshot.covered)
    others = allowed.words(notIn: snapshot.covered)
  }

  /// Scans for `query`; a long scan is divided among the threads of `loop`.
  ///
  /// - Returns: the slots that could not be ruled out of the k best.
  func survivors(of query: CodeQuery, k: Int, excluding excluded: Int?, _ loop: ParallelLoop) -> Survivors {
    guard let lists else { return survivors(Survivors(k: k), cells: [], others, query, k, excluded, loop) }
    var found = Survivors(k: k)
    var nearest = nearestCells(query, k, lists)
    scan(nearest[...], lists, query, excluded, &found)
    if found.threshold == -.infinity { scanFarther(&nearest, lists, query, excluded, &found) }
    let done = Set(nearest)
    let rest = lists.cells(within: found.threshold, of: query, kernels).filter { !done.contains($0) }
    // A filter may leave few rows in each of many cells, for example when all matches are far from the query.
    guard costs.readsCells(rows: lists.rows(in: rest), for: allowed.count) else {
      var again = Survivors(k: k, floor: found.threshold)
      again.effort = found.effort
      return survivors(again, cells: [], allowed.words, query, k, excluded, loop)
    }
    return survivors(found, cells: rest, others, query, k, excluded, loop)
  }

  /// `found` together with what a scan of `cells` and of the slots in `words` could not rule out.
  private func survivors(
    _ found: Survivors, cells: [UInt32], _ words: [UInt64], _ query: CodeQuery, _ k: Int, _ excluded: Int?,
    _ loop: ParallelLoop
  ) -> Survivors {
    var all = found
    let parts = allowed.words.count < Self.manyWords ? 1 : loop.threads
    guard parts > 1 else {
      if let lists { scan(cells[...], lists, query, excluded, &all) }
      scan(words[...], query, excluded, &all)
      return all
    }
    let floor = all.threshold
    let parallel = loop.map(parts) { part in
      var survivors = Survivors(k: k, floor: floor)
      if let lists { scan(Self.part(part, of: parts, cells), lists, query, excluded, &survivors) }
      scan(Self.part(part, of: parts, words), query, excluded, &survivors)
      return survivors
    }
    for part in parallel { all.formUnion(part) }
    return all
  }

  private static func part<Element>(_ part: Int, of parts: Int, _ all: [Element]) -> ArraySlice<Element> {
    all[part * all.count / parts..<(part + 1) * all.count / parts]
  }

  /// Scans farther cells, the nearest first, when a filter leaves too few rows in the nearest ones for a threshold, as long as
  /// that costs less than comparing the matches one by one.
  private func scanFarther(
    _ nearest: inout [UInt32], _ lists: InvertedLists, _ query: CodeQuery, _ excluded: Int?,
    _ survivors: inout Survivors
  ) {
    let order = nearestCells(query, lists.cells, in: lists)
    var next = nearest.count
    var passed = 0
    while survivors.threshold == -.infinity, next < order.count,
      costs.readsCells(rows: passed, for: allowed.count)
    {
      scan(order[next...next], lists, query, excluded, &survivors)
      passed += lists.rows(in: order[next...next])
      next += 1
    }
    nearest = Array(order[..<next])
  }

  /// The nearest cells, as many as should hold enough rows for a threshold.
  private func nearestCells(_ query: CodeQuery, _ k: Int, _ lists: InvertedLists) -> [UInt32] {
    nearestCells(query, min(lists.cells, 1 + 2 * k * lists.cells / max(1, lists.count)), in: lists)
  }

  // SAFETY: there is room for as many cells as are asked for.
  private func nearestCells(_ query: CodeQuery, _ count: Int, in lists: InvertedLists) -> [UInt32] {
    [UInt32](unsafeUninitializedCapacity: count) { cells, found in
      guard let first = cells.baseAddress else { return }
      found = query.nearestCells(count, includingFar: true, into: first, kernels)
    }
  }

  private func scan(
    _ cells: ArraySlice<UInt32>, _ lists: InvertedLists, _ query: CodeQuery, _ excluded: Int?,
    _ survivors: inout Survivors
  ) {
    var scan = ListScan(query, records, lists, kernels)
    listed.withUnsafeBufferPointer { listed in
      for cell in cells {
        scan.run(cell, live: listed, threshold: survivors.threshold) { hits in
          for hit in hits where Int(hit.slot) != excluded { survivors.add(hit) }
          return survivors.threshold
        }
      }
    }
    survivors.effort += scan.effort
  }

  /// Scans the slots whose bits are set in `words`.
  // SAFETY: the buffers have room for one step and for the 64 slots that one more word may add.
  private func scan(_ words: ArraySlice<UInt64>, _ query: CodeQuery, _ excluded: Int?, _ survivors: inout Survivors) {
    guard words.contains(where: { $0 != 0 }) else { return }
    withUnsafeTemporaryAllocation(of: UInt32.self, capacity: Self.slotsPerStep + 64) { slots in
      withUnsafeTemporaryAllocation(of: CodeHit.self, capacity: Self.slotsPerStep + 64) { hits in
        guard let first = slots.baseAddress, let out = hits.baseAddress else { return }
        var listed = 0
        func compare() {
          survivors.effort.full += Double(listed)
          let count = records.bound(
            first, count: listed, for: query, threshold: survivors.threshold, into: out, kernels)
          for index in 0..<count where Int(out[index].slot) != excluded { survivors.add(out[index]) }
          listed = 0
        }
        for word in words.indices {
          var rest = words[word]
          while rest != 0 {
            first[listed] = UInt32(truncatingIfNeeded: word * 64 + rest.trailingZeroBitCount)
            listed += 1
            rest &= rest - 1
          }
          if listed >= Self.slotsPerStep { compare() }
        }
        if listed > 0 { compare() }
      }
    }
  }
}
