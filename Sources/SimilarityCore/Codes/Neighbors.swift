import CKernels

/// Lists of neighbours, which searches read while they change.
extension CodeRecords {
  /// Copies the list of `slot` into `out`, which has room for ``mostNeighbors``.
  ///
  /// - Returns: how many there are.
  public func neighbors(of slot: Int, into out: UnsafeMutablePointer<UInt32>) -> Int {
    nf_list_read(raw, slot, out)
  }

  public func setNeighbors(of slot: Int, to neighbors: UnsafeBufferPointer<UInt32>) {
    guard slot >= 0, slot < slots else { return }
    nf_list_write(raw, slot, neighbors.baseAddress, min(neighbors.count, mostNeighbors))
  }

  /// Whether the list of `slot` names `neighbor`.
  public func names(_ neighbor: UInt32, at slot: Int) -> Bool { nf_list_contains(raw, slot, neighbor) != 0 }

  /// Whether one of the neighbours of `slot` names it.
  public func isNamed(_ slot: Int) -> Bool {
    withUnsafeTemporaryAllocation(of: UInt32.self, capacity: mostNeighbors) { list in
      guard let first = list.baseAddress else { return false }
      let count = neighbors(of: slot, into: first)
      return list[..<count].contains { names(UInt32(truncatingIfNeeded: slot), at: Int($0)) }
    }
  }

  /// - Returns: false when the list is full.
  public func addNeighbor(_ neighbor: UInt32, to slot: Int) -> Bool {
    guard slot >= 0, slot < slots else { return false }
    return nf_list_append(raw, slot, neighbor) != 0
  }
}

extension Kernels {
  /// Chooses the neighbours of a row so that they point in different directions (robust prune; Subramanya et al. 2019, "DiskANN",
  /// algorithm 2): a candidate is left out when a chosen one is α times nearer to it than the row is.
  ///
  /// - Parameters:
  ///   - candidates: rows, and the factors by which they are multiplied before distances are taken.
  ///   - slots: decide between candidates that are equally far.
  ///   - alphaSquared: α², since distances here are squares.
  /// - Returns: the places of at most `degree` candidates, nearest first.
  // SAFETY: every row has as many values as `origin`; the scratch is as large as the kernel says.
  public func choose(
    _ degree: Int, of candidates: [UnsafePointer<Float>?], factors: [Float], slots: [UInt32],
    around origin: UnsafeBufferPointer<Float>, factor: Float, slot: UInt32, alphaSquared: Float
  ) -> [Int] {
    let count = min(candidates.count, factors.count, slots.count)
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
