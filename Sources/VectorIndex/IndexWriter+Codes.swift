import SimilarityCore

/// Writing codes, and choosing the reference points that they are relative to.
extension IndexWriter {
  private static let slotsPerPiece = 64
  /// The number of rows from which on choosing reference points is worthwhile.
  private static let fewestTrained = 64
  /// As many slots outside the lists do not make a scan much longer, although it compares them one by one.
  private static let fewUnlisted = 256

  func newRecords(slots: Int, coarse: CoarseQuantizer) -> CodeRecords? {
    CodeRecords(
      coarse: coarse, slots: slots,
      neighbors: metric.allowsGraph(dimension: dimension) ? options.degree + options.degree / 4 : 0)
  }

  /// Writes the codes of all rows that have none, so that reference points are chosen once for all of them.
  mutating func encodeRest() {
    encode([])
    updateLists()
  }

  /// Writes the codes of `new` slots, whose rows have been written; and those of all slots, when new reference points are due.
  mutating func encode(_ new: [Int]) {
    let slots = uncoded.isEmpty ? new : uncoded.all + new
    uncoded = SlotSet()
    guard let records, !slots.isEmpty else { return }
    coded.count += slots.count
    if coded.count >= Self.fewestTrained, coded.count >= 2 * coded.trained, recode(adding: slots) { return }
    write(slots, to: records)
  }

  private func write(_ slots: [Int], to records: CodeRecords) {
    let pieces = (slots.count + Self.slotsPerPiece - 1) / Self.slotsPerPiece
    let (rows, kernels) = (rows, kernels)
    loop.forEachPiece(pieces) { piece in
      for slot in slots[piece * Self.slotsPerPiece..<min((piece + 1) * Self.slotsPerPiece, slots.count)] {
        records.write(rows.row(slot), norm: rows.norm(slot), to: slot, kernels)
      }
    }
  }

  /// Makes new lists for exact scans when many slots are not in the old ones, or most of those in them are gone.
  mutating func updateLists() {
    guard let records, coded.trained > 0 else { return }
    var listed = live
    listed.formIntersection(covered)
    let missing = live.count - listed.count
    let isDue = lists.map {
      missing > max(Self.fewUnlisted, listed.count / 8) || $0.count > max(Self.fewestTrained, 2 * listed.count)
    }
    guard isDue ?? (missing > 0) else { return }
    // Lists only save time: without memory for new ones, scans compare all slots that are not in the old ones.
    guard let made = InvertedLists(of: live.all, in: records, loop, kernels) else { return }
    (lists, covered) = (made, live)
  }

  /// Chooses reference points for the present rows and codes all rows anew, in new memory, while searches go on with the old
  /// codes.
  ///
  /// - Returns: false when there is not enough memory or the matrix library fails. Nothing has changed then: codes relative to
  ///   the old points are still right, if slower to search by, and the next write tries again.
  private mutating func recode(adding slots: [Int]) -> Bool {
    guard let old = records else { return false }
    var all = live
    all.formUnion(dead)
    for slot in slots { all.insert(slot) }
    let sampled = all.all
    let (rows, count) = (rows, sampled.count)
    guard
      let chosen = try? CoarseQuantizer.trained(
        rows: count, rotation: coarse.rotation, metric: coarse.metric, loop, kernels,
        read: { (rows.row(sampled[$0]), rows.norm(sampled[$0])) }),
      let next = newRecords(slots: old.slots, coarse: chosen)
    else { return false }
    if graph != nil { next.copyLists(used, from: old) }
    write(sampled, to: next)
    (coarse, records, coded) = (chosen, next, (count, count))
    // The old lists are of the old cells.
    (lists, covered) = (nil, SlotSet())
    if var grown = graph {
      grown.chooseEntries(pruning(next))
      graph = grown
    }
    return true
  }
}
