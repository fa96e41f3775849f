import SimilarityCore

/// Exact search: every row that the error bounds of its codes cannot rule out is scored in f64.
///
/// By Cauchy–Schwarz a row's true key lies within its width of the key from codes, so no true neighbour is dropped.
struct ExactSearch {
  /// Words of live slots from which on a scan is cut in parts for the threads.
  private static let manyWords = 512
  /// Slots that are compared in one go.
  private static let slotsPerStep = 512

  let records: CodeRecords
  let lists: InvertedLists?
  /// The slots to be searched that are in the lists, as bits, and the others.
  let listed: [UInt64]
  let others: [UInt64]
  let kernels: Kernels

  init(_ allowed: SlotSet, in snapshot: IndexSnapshot, records: CodeRecords) {
    self.records = records
    kernels = snapshot.kernels
    let costs = SearchCosts(dimension: records.dimension)
    guard let lists = snapshot.lists,
      costs.readsLists(allowed.count, among: snapshot.live.count, measured: snapshot.calibration.scan(costs))
    else {
      (lists, listed, others) = (nil, [], allowed.words)
      return
    }
    self.lists = lists
    var (listed, others) = (allowed, allowed)
    listed.formIntersection(snapshot.covered)
    others.subtract(snapshot.covered)
    (self.listed, self.others) = (listed.words, others.words)
  }

  /// What survives a scan for `query`, cut in one part for each thread where there is much to scan.
  func survivors(of query: CodeQuery, k: Int, excluding excluded: Int?, _ loop: ParallelLoop) -> Survivors {
    var all = Survivors(k: k)
    var rest: [UInt32] = []
    if let lists {
      var nearest = nearestCells(query, k, lists)
      scan(nearest[...], lists, query, excluded, &all)
      if all.threshold == -.infinity { scanFarther(&nearest, lists, query, excluded, &all) }
      let done = Set(nearest)
      rest = lists.cells(within: all.threshold, of: query, kernels).filter { !done.contains($0) }
    }
    let parts = max(listed.count, others.count) < Self.manyWords ? 1 : loop.threads
    guard parts > 1 else {
      if let lists { scan(rest[...], lists, query, excluded, &all) }
      scan(others[...], query, excluded, &all)
      return all
    }
    let floor = all.threshold
    let found = Results.of(parts, loop) { part in
      var survivors = Survivors(k: k, floor: floor)
      if let lists { scan(Self.part(part, of: parts, rest), lists, query, excluded, &survivors) }
      scan(Self.part(part, of: parts, others), query, excluded, &survivors)
      return survivors
    }
    for part in found ?? [] { all.formUnion(part) }
    return all
  }

  private static func part<Element>(_ part: Int, of parts: Int, _ all: [Element]) -> ArraySlice<Element> {
    all[part * all.count / parts..<(part + 1) * all.count / parts]
  }

  /// Where a filter leaves too little of the nearest cells for a threshold: goes on to farther ones, the nearest first.
  private func scanFarther(
    _ nearest: inout [UInt32], _ lists: InvertedLists, _ query: CodeQuery, _ excluded: Int?,
    _ survivors: inout Survivors
  ) {
    let order = nearestCells(query, lists.cells, in: lists)
    var next = nearest.count
    while survivors.threshold == -.infinity, next < order.count {
      scan(order[next...next], lists, query, excluded, &survivors)
      next += 1
    }
    nearest = Array(order[..<next])
  }

  /// Cells that hold enough rows for a threshold, and not many more.
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

  /// The slots whose bits are set in some words of ``others``.
  // SAFETY: the buffers have room for one step, and for what one more word may add.
  private func scan(_ words: ArraySlice<UInt64>, _ query: CodeQuery, _ excluded: Int?, _ survivors: inout Survivors) {
    guard words.contains(where: { $0 != 0 }) else { return }
    withUnsafeTemporaryAllocation(of: UInt32.self, capacity: Self.slotsPerStep + 64) { slots in
      withUnsafeTemporaryAllocation(of: CodeHit.self, capacity: Self.slotsPerStep + 64) { hits in
        guard let first = slots.baseAddress, let out = hits.baseAddress else { return }
        var listed = 0
        func compare() {
          survivors.effort.full += listed
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

  /// What scans for `queries` compare.
  func scans(for queries: [CodeQuery], k: Int) -> RecallCurve.Scans {
    let effort = queries.reduce(into: ScanEffort()) { sum, query in
      sum += survivors(of: query, k: k, excluding: nil, ParallelLoop(threads: 1)).effort
    }
    return RecallCurve.Scans(
      queries: Double(queries.count), rough: Double(effort.rough), full: Double(effort.full))
  }
}
