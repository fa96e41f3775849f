import CKernels

/// Lists of neighbours, which searches read while they change. One thread at a time may change a list.
extension CodeRecords {
  /// Copies the list of `slot` to `out`, which has room for ``mostNeighbors`` slots.
  ///
  /// - Returns: the number of neighbours.
  public func neighbors(of slot: Int, into out: UnsafeMutablePointer<UInt32>) -> Int {
    nf_list_read(raw, slot, out)
  }

  /// Replaces the list of `slot` by at most ``mostNeighbors`` neighbours.
  public func setNeighbors(of slot: Int, to neighbors: UnsafeBufferPointer<UInt32>) {
    precondition((0..<slots).contains(slot), "there is no slot \(slot) among \(slots)")
    precondition(neighbors.count <= mostNeighbors, "\(neighbors.count) neighbours in a list for \(mostNeighbors)")
    nf_list_write(raw, slot, neighbors.baseAddress, neighbors.count)
  }

  /// Whether the list of `slot` names `neighbor`.
  public func names(_ neighbor: UInt32, at slot: Int) -> Bool { nf_list_contains(raw, slot, neighbor) != 0 }

  /// Whether the list of one of the neighbours of `slot` names it.
  public func isNamed(_ slot: Int) -> Bool {
    withUnsafeTemporaryAllocation(of: UInt32.self, capacity: mostNeighbors) { list in
      guard let first = list.baseAddress else { return false }
      let count = neighbors(of: slot, into: first)
      return list[..<count].contains { names(UInt32(truncatingIfNeeded: slot), at: Int($0)) }
    }
  }

  /// Appends a neighbour to the list of `slot`.
  ///
  /// - Returns: false when the list is full.
  public func addNeighbor(_ neighbor: UInt32, to slot: Int) -> Bool {
    precondition((0..<slots).contains(slot), "there is no slot \(slot) among \(slots)")
    return nf_list_append(raw, slot, neighbor) != 0
  }
}

extension Kernels {
  /// Chooses the neighbours of a row so that they point in different directions (robust prune; Subramanya et al. 2019,
  /// "DiskANN", algorithm 2): a candidate is left out when a chosen one is α times nearer to it than the row is.
  ///
  /// - Parameters:
  ///   - candidates: the rows to choose from.
  ///   - factors: what each candidate is multiplied by before distances are taken.
  ///   - slots: the slots of the candidates, all different; of candidates at equal distances the smaller slot comes
  ///     first.
  ///   - origin: the row whose neighbours are chosen; it is multiplied by `factor`, and is in slot `slot`.
  ///   - alphaSquared: α², because distances here are squared.
  /// - Returns: the numbers of at most `degree` candidates, nearest first.
  // SAFETY: every row has as many values as `origin`; the scratch memory is as large as the kernel requires.
  public func choose(
    _ degree: Int, of candidates: [UnsafePointer<Float>?], factors: [Float], slots: [UInt32],
    around origin: UnsafeBufferPointer<Float>, factor: Float, slot: UInt32, alphaSquared: Float
  ) -> [Int] {
    let count = candidates.count
    precondition(factors.count == count && slots.count == count, "one factor and one slot for each candidate")
    guard count > 0, let first = origin.baseAddress else { return [] }
    let bytes = nf_prune_scratch(count, origin.count, degree)
    return withUnsafeTemporaryAllocation(byteCount: bytes, alignment: 64) { scratch in
      withUnsafeTemporaryAllocation(of: UInt32.self, capacity: count) { order in
        guard let out = order.baseAddress else { return [] }
        let chosen = table.pointee.prune(
          candidates, factors, slots, count, first, factor, slot, origin.count, alphaSquared, degree,
          scratch.baseAddress, out
        )
        return order[..<chosen].map { Int($0) }
      }
    }
  }
}
