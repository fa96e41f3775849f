import CKernels

/// A row that a scan could not rule out: its key lies within `width` of `key`.
public typealias CodeHit = nf_code_hit

extension CodeRecords {
  /// The keys of `slots` for `query`, by all bits of their codes.
  public func keys(
    of slots: UnsafeBufferPointer<UInt32>, for query: CodeQuery, into keys: UnsafeMutablePointer<Float>,
    _ kernels: Kernels
  ) {
    guard let first = slots.baseAddress else { return }
    kernels.table.pointee.code_keys(&raw, query.raw, first, slots.count, keys)
  }

  /// The same from half of the codes' bits.
  public func roughKeys(
    of slots: UnsafeBufferPointer<UInt32>, for query: CodeQuery, into keys: UnsafeMutablePointer<Float>,
    _ kernels: Kernels
  ) {
    guard let first = slots.baseAddress else { return }
    kernels.table.pointee.code_rough_keys(&raw, query.raw, first, slots.count, keys)
  }

  /// The neighbours of `slot` that are not in `visited` yet, and their rough keys, from half of the codes' bits.
  ///
  /// - Parameter visited: a bit for every slot; gets those that are returned.
  // SAFETY: lists hold slots of this object only; the outputs have room for mostNeighbors.
  @inline(__always)
  public func expand(
    _ slot: UInt32, for query: CodeQuery, visited: UnsafeMutablePointer<UInt64>,
    slots: UnsafeMutablePointer<UInt32>, keys: UnsafeMutablePointer<Float>, _ kernels: Kernels
  ) -> Int {
    kernels.table.pointee.code_neighbors(&raw, query.raw, slot, visited, slots, keys)
  }

  /// Asks for the list of `slot`, which will be expanded soon.
  // SAFETY: a prefetch reads nothing; lists and pools hold slots of this object only.
  @inline(__always)
  public func prefetchNeighbors(of slot: UInt32) {
    nf_prefetch(raw.lists + Int(slot) * raw.list_stride, 4 * raw.list_stride)
  }

  /// Of the live slots from `first`, a multiple of 64, on: those whose key may reach `threshold`.
  ///
  /// - Parameter hits: room for one hit a live bit.
  public func scan(
    _ live: UnsafeBufferPointer<UInt64>, first: Int, for query: CodeQuery, threshold: Float,
    into hits: UnsafeMutablePointer<CodeHit>, _ kernels: Kernels
  ) -> Int {
    guard let words = live.baseAddress, first >= 0, first + 64 * live.count <= slots else { return 0 }
    return kernels.table.pointee.code_scan(&raw, query.raw, words, live.count, UInt32(first), threshold, hits)
  }

  /// How far the key of `slot` is off at most, but for what the query's own codes lose.
  public func width(of slot: UInt32, for query: CodeQuery) -> Float {
    let header = raw.headers[Int(slot)]
    let reach = query.raw.pointee.reach.map { $0[Int(header.cell)] } ?? query.raw.pointee.norm
    return header.e * reach
  }

  /// The centroid that the codes of `slot` are relative to.
  public func cell(of slot: Int) -> Int { Int(raw.headers[slot].cell) }

  /// A measure of how far the row in `slot` is from its centroid.
  public func residual(of slot: Int) -> Float { raw.headers[slot].n }

  /// What a row is multiplied by before distances are taken: 1/‖row‖ under the cosine, else 1.
  public func scale(of slot: Int) -> Float { raw.headers[slot].scale }
}
